// A gRPC server of @grpc/grpc-js without TLS. Messages are bytes. node grpc_app.mjs ADDRESS PORT
import grpc from '@grpc/grpc-js';

export const bytes = { requestSerialize: x => x, requestDeserialize: x => x, responseSerialize: x => x, responseDeserialize: x => x };
export const service = {
    unary: { path: '/test.Test/Unary', requestStream: false, responseStream: false, ...bytes },
    collect: { path: '/test.Test/Collect', requestStream: true, responseStream: false, ...bytes },
    count: { path: '/test.Test/Count', requestStream: false, responseStream: true, ...bytes },
    chat: { path: '/test.Test/Chat', requestStream: true, responseStream: true, ...bytes },
};
const cancelled = [];

const handlers = {
    unary(call, done) {
        const said = call.request.toString('latin1', 0, 20);
        if (said === 'fail')
            return done({ code: grpc.status.FAILED_PRECONDITION, details: 'as asked: ü' });
        if (said.startsWith('hang')) {
            call.on('cancelled', () => cancelled.push(said));
            return undefined;
        }
        if (said === 'cancelled')
            return done(null, Buffer.from([...new Set(cancelled)].sort().join()));
        const trailers = new grpc.Metadata();
        trailers.set('x-trailer', 'seen');
        trailers.set('bytes-bin', Buffer.from([0, 1, 255]));
        return done(null, call.request, trailers);
    },
    collect(call, done) {
        let size = 0;
        call.on('data', piece => { size += piece.length; });
        call.on('end', () => done(null, Buffer.from(String(size))));
    },
    async count(call) {
        const [count, size] = call.request.toString().split(' ').map(Number);
        for (let number = 0; number < count; number++)
            if (!call.write(Buffer.alloc(size, number)))
                await new Promise(resolve => call.once('drain', resolve));
        call.end();
    },
    chat(call) {
        let last = '';
        call.on('data', piece => {
            last = piece.toString();
            call.write(Buffer.concat([Buffer.from('re: '), piece]));
        });
        call.on('end', () => call.end());
        call.on('cancelled', () => cancelled.push(`chat ${last}`));
    },
};

if (process.argv[1].endsWith('grpc_app.mjs')) {
    const options = { 'grpc.max_receive_message_length': 1 << 28 };
    const server = new grpc.Server(options);
    server.addService(service, handlers);
    server.bindAsync(`${process.argv[2]}:${process.argv[3]}`, grpc.ServerCredentials.createInsecure(), error => {
        if (error)
            throw error;
    });
}
