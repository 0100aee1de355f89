// npm's ws as client: many at once, messages of all kinds, ends of all kinds. Prints what it found as JSON.
// node chat_client.mjs NAME ADDRESS PORT CA COUNT
import crypto from 'node:crypto';
import fs from 'node:fs';
import { WebSocket } from 'ws';

const [name, address, port, ca, count] = process.argv.slice(2);
const lookup = (_, options, done) => options.all ? done(null, [{ address, family: 4 }]) : done(null, address, 4);
const open = path => new WebSocket(`wss://${name}:${port}${path}`, { ca: fs.readFileSync(ca), lookup });

const next = (socket, event) => new Promise((resolve, reject) => {
    socket.once(event, (...values) => resolve(values));
    socket.once('error', reject);
});

async function ask(socket, data) {
    const answer = next(socket, 'message');
    socket.send(data);
    const [heard] = await answer;
    return Buffer.compare(heard, Buffer.from(data)) === 0;
}

async function talk(number) {
    const socket = open('/chat');
    await next(socket, 'open');
    const good = [];
    for (const data of ['hello', '', 'x'.repeat(70000), crypto.randomBytes(1 << 18), `number ${number}`])
        good.push(await ask(socket, data));
    const pong = next(socket, 'pong');
    socket.ping('are you there');
    good.push(String((await pong)[0]) === 'are you there');
    const closed = next(socket, 'close');
    socket.close(1000, 'done');
    const [code] = await closed;
    return good.every(Boolean) && code === 1000 && socket.extensions.includes('permessage-deflate');
}

async function isSentAway() {
    const [code, reason] = await next(open('/goodbye'), 'close');
    return code === 4001 && String(reason) === 'not you';
}

async function tearsOff() {
    const socket = open('/chat');
    await next(socket, 'open');
    const closed = next(socket, 'close');
    socket.terminate();
    return (await closed)[0] === 1006;
}

const talked = await Promise.all([...Array(Number(count)).keys()].map(talk));
console.log(JSON.stringify({
    talked: talked.filter(Boolean).length, sentAway: await isSentAway(), toreOff: await tearsOff(),
}));
