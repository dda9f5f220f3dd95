"""A session with a language server through python-lsp-jsonrpc; prints what came of it as one line of JSON."""
import json, socket, sys, threading
from pylsp_jsonrpc.endpoint import Endpoint
from pylsp_jsonrpc.exceptions import JsonRpcException
from pylsp_jsonrpc.streams import JsonRpcStreamReader, JsonRpcStreamWriter

sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
writer = JsonRpcStreamWriter(sock.makefile("wb"))
endpoint = Endpoint({}, writer.write)
reader = threading.Thread(target=JsonRpcStreamReader(sock.makefile("rb")).listen, args=(endpoint.consume,))
reader.start()


def call(method, params=None):
    try:
        return endpoint.request(method, params).result(timeout=10)
    except JsonRpcException as error:
        return error.code


document = {"uri": "memory:test"}
results = [call("initialize", {})["capabilities"]["hoverProvider"]]
endpoint.notify("textDocument/didOpen", {"textDocument": {**document, "text": "你好\nto be or not to be"}})
results.append(call("textDocument/hover", {"textDocument": document, "position": {"line": 1, "character": 1}}))
results.append(call("nonsense", {}))
results.append(call("textDocument/hover", {"textDocument": document}))
results.append(call("shutdown", {}))
endpoint.notify("exit")
reader.join(10)
endpoint.shutdown()
print(json.dumps(results))
