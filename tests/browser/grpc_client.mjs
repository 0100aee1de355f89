// A client of @grpc/grpc-js: each kind of call, deadlines, cancellation, statuses. Prints what it found as JSON.
// node grpc_client.mjs NAME ADDRESS PORT CA [once]
import fs from 'node:fs';
import grpc from '@grpc/grpc-js';
import { service } from './grpc_app.mjs';

const [name, address, port, ca, once] = process.argv.slice(2);
const Client = grpc.makeGenericClientConstructor(service, 'test.Test');
const client = new Client(`${address}:${port}`, grpc.credentials.createSsl(fs.readFileSync(ca)), {
    'grpc.ssl_target_name_override': name, 'grpc.default_authority': name,
    'grpc.max_receive_message_length': 1 << 28, 'grpc.max_send_message_length': 1 << 28,
});

const unary = (message, options = {}) => new Promise(resolve => {
    let trailers = null;
    const call = client.unary(Buffer.from(message), options, (error, answer) => setImmediate(() =>
        resolve({ code: error ? error.code : 0, details: error?.details, answer, trailers })));
    call.on('status', status => { trailers = status.metadata; });
    if (options.cancelAfter)
        setTimeout(() => call.cancel(), options.cancelAfter);
});

if (once) {
    console.log(JSON.stringify(await unary('hello')));
    process.exit();
}
const found = {};
const echo = await unary('hello');
found.unary = echo.answer.toString();
found.trailer = echo.trailers.get('x-trailer')[0];
found.binary = [...echo.trailers.get('bytes-bin')[0]];
const many = await Promise.all(Array.from({ length: 200 }, (_, number) => unary(`number ${number}`)));
found.many = many.every((one, number) => one.answer.toString() === `number ${number}`);
const big = Buffer.alloc(20 << 20, 'x');
found.big = Buffer.compare((await unary(big)).answer, big) === 0;
const failed = await unary('fail');
found.failed = [failed.code, failed.details];
found.deadline = (await unary('hang until the deadline', { deadline: Date.now() + 300 })).code;
found.cancelled = (await unary('hang until cancelled', { cancelAfter: 200 })).code;

found.collected = await new Promise((resolve, reject) => {
    const call = client.collect((error, answer) => error ? reject(error) : resolve(answer.toString()));
    for (let number = 0; number < 300; number++)
        call.write(Buffer.alloc(10000));
    call.end();
});
found.counted = await new Promise((resolve, reject) => {
    let size = 0;
    const call = client.count(Buffer.from('400 20000'));
    call.on('data', piece => { size += piece.length; });
    call.on('error', reject);
    call.on('end', () => resolve(size));
});
found.chat = await new Promise((resolve, reject) => {
    const heard = [];
    const call = client.chat();
    call.on('data', piece => {
        heard.push(piece.toString());
        if (heard.length < 5)
            call.write(Buffer.from(`message ${heard.length}`));
        else
            call.end();
    });
    call.on('error', reject);
    call.on('end', () => resolve(heard));
    call.write(Buffer.from('message 0'));
});
await new Promise(resolve => {
    const call = client.chat();
    call.on('data', () => call.cancel());
    call.on('error', error => { found.chatCancelled = error.code; resolve(); });
    call.write(Buffer.from('x'));
});
for (let tries = 0; tries < 50 && found.heardCancels?.split(',').length !== 4; tries++) {
    found.heardCancels = (await unary('cancelled')).answer.toString();
    await new Promise(resolve => setTimeout(resolve, 20));
}
console.log(JSON.stringify(found));
client.close();
