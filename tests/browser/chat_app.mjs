// An app behind the edge: a page that asks for many things at once and talks over a WebSocket, with npm's ws as server.
// node chat_app.mjs ADDRESS PORT
import http from 'node:http';
import { WebSocketServer } from 'ws';

const PAGE = `<!doctype html><title>loading</title><script>
const pieces = Promise.all([...Array(100).keys()].map(async number => {
    const answer = await fetch('/piece/' + number);
    return (await answer.text()) === 'piece ' + number + ' '.repeat(number * 100);
}));
const talk = new Promise((resolve, reject) => {
    const socket = new WebSocket('wss://' + location.host + '/chat');
    const heard = [];
    socket.onopen = () => [...Array(20).keys()].forEach(number => socket.send('message ' + number));
    socket.onmessage = event => heard.push(event.data) === 20 && socket.close(4000, 'enough');
    socket.onclose = event => resolve({heard, code: event.code, clean: event.wasClean});
    socket.onerror = () => reject(new Error('the WebSocket failed'));
});
Promise.all([pieces, talk]).then(([good, chat]) => ({
    good: good.filter(Boolean).length, chat,
    protocols: [...new Set(performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol))],
})).catch(error => ({error: String(error)})).then(result => { window.result = result; document.title = 'done'; });
</script>`;

const server = http.createServer((request, response) => {
    const piece = request.url.match(/^\/piece\/(\d+)$/);
    if (piece) return response.end('piece ' + piece[1] + ' '.repeat(piece[1] * 100));
    response.setHeader('content-type', 'text/html');
    return response.end(PAGE);
});

const chats = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } });
chats.on('connection', (socket, request) => {
    if (request.url === '/goodbye') return socket.close(4001, 'not you');
    socket.on('error', () => {});
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    return undefined;
});
server.listen(Number(process.argv[3]), process.argv[2]);
