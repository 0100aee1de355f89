// Requests to the API, with the session's cookie.

export class ApiError extends Error {
	constructor(status, problem) {
		super(problem?.detail ?? `The server answered ${status}.`);
		this.status = status;
		this.code = problem?.code;
		this.field = problem?.field;
	}

	// Without the name of the field that it stands beside.
	get mend() {
		const prefix = `${this.field}: `;
		const text = this.message.startsWith(prefix) ? this.message.slice(prefix.length) : this.message;
		return text.charAt(0).toUpperCase() + text.slice(1);
	}
}

export async function api(method, path, body) {
	const headers = { "X-Postern-Request": "1" };
	if (body !== undefined) headers["Content-Type"] = "application/json";
	let response;
	try {
		response = await fetch(path, {
			method,
			headers,
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch {
		throw new ApiError(0, { detail: "The server cannot be reached. Trying again …" });
	}
	const answer = response.status === 204 ? null : await response.json().catch(() => null);
	if (!response.ok) throw new ApiError(response.status, answer);
	return answer;
}

export function query(parameters) {
	const set = Object.entries(parameters).filter(([, value]) => value);
	return set.length ? `?${new URLSearchParams(set)}` : "";
}

export function domainPath(domain, suffix = "") {
	return `/v1/domains/${encodeURIComponent(domain.name)}${suffix}${query({ tenant: domain.tenant })}`;
}

export function domainLink(domain) {
	return `#/domains/${encodeURIComponent(domain.name)}${query({ tenant: domain.tenant })}`;
}
