// What the API says, in words.

import { h, icon } from "./dom.js";

const brand = document.querySelector('meta[name="application-name"]').content;
export const brandName = () => brand;

const TONES = {
	live: "good",
	action_needed: "bad",
	waiting: "wait",
	could_not_check: "calm",
	suspended: "bad",
	failed: "bad",
};
const ICONS = { good: "check", bad: "alert", wait: "clock", calm: "question" };

// What is merely not there yet is no fault.
export const verdictTone = (verdict) =>
	verdict.state === "act" && verdict.record?.action === "add"
		? "wait"
		: ({ ok: "good", act: "bad", wait: "wait" }[verdict.state] ?? "calm");
export const toneIcon = (tone) => ICONS[tone] ?? "question";

export function stateOf(domain) {
	const faults = (domain.last_check?.verdicts ?? []).filter((each) => each.state === "act");
	const isNew = domain.state.code === "action_needed" && faults.every((each) => verdictTone(each) === "wait");
	const tone = isNew ? "wait" : (TONES[domain.state.code] ?? "calm");
	return {
		tone,
		title: domain.state.title,
		who: domain.state.who,
		icon: domain.state.code === "suspended" ? "stop" : ICONS[tone],
	};
}

export function pill(domain) {
	const state = stateOf(domain);
	return h(
		"span",
		{ class: `pill${domain.state.code === "waiting" ? " busy" : ""}`, data: { tone: state.tone } },
		icon(state.icon),
		state.title,
	);
}

// Who has to act, said to whoever reads it.
export function whoActs(who, isOperator) {
	switch (who) {
		case "customer":
			return isOperator ? "The customer has to act" : "You have to act";
		case "operator":
			return isOperator ? "You have to act" : `${brand} has to act`;
		case "dns_provider":
			return "The DNS provider has to act";
		case "ca":
			return "It is the CA’s";
		default:
			return "Nobody has to act";
	}
}

export function dateText(iso) {
	return new Date(iso).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

export function timeText(iso) {
	return new Date(iso).toLocaleString(undefined, {
		year: "numeric",
		month: "short",
		day: "numeric",
		hour: "2-digit",
		minute: "2-digit",
	});
}

function amount(seconds) {
	const units = [
		[86400, "day"],
		[3600, "hour"],
		[60, "minute"],
		[1, "second"],
	];
	const [size, unit] = units.find(([each]) => seconds >= each * 1.5 || each === 1);
	const count = Math.max(1, Math.round(seconds / size));
	return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

// "in 8 seconds", "3 days ago"
export function fromNow(iso) {
	const seconds = (Date.parse(iso) - Date.now()) / 1000;
	return seconds > 0 ? `in ${amount(seconds)}` : `${amount(-seconds)} ago`;
}

export function nextCheck(domain) {
	if (!domain.next_check_at) return "";
	return Date.parse(domain.next_check_at) <= Date.now() + 1000
		? "checking now …"
		: `next automatic check ${fromNow(domain.next_check_at)}`;
}

// Something will change by itself soon.
export function isBusy(domain) {
	const next = domain.next_check_at ? Date.parse(domain.next_check_at) - Date.now() : Infinity;
	return domain.certificate.state === "issuing" || next < 60000;
}
