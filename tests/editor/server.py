"""A client of yaml-language-server over stdio: open a text, and ask for messages, completions and hovers."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Any, Self

Message = dict[str, Any]


class Server:
    """One running server. Every text is opened under a name of its own, with `schema` for it."""

    def __init__(self, program: Path, schema: Path, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen([str(program), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.messages: Queue[Message] = Queue()
        self.count = 0
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": CAPABILITIES})
        self.tell("initialized", {})
        yaml = {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}
        yaml["schemas"] = {schema.as_uri(): "/*.yaml"}
        self.settings: Message = {"yaml": yaml}
        self.tell("workspace/didChangeConfiguration", {"settings": self.settings})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.listener.join()
        self.process.communicate()

    def messages_for(self, text: str) -> list[tuple[int, str]]:
        """Return the server's messages on a text: the line of each, from 1, and its words."""
        uri = self._open(text)
        while True:
            message = self._next()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                found = message["params"]["diagnostics"]
                return [(each["range"]["start"]["line"] + 1, each["message"]) for each in found]

    def completions(self, text: str) -> list[str]:
        """Return the labels that the server offers where `|` stands in a text."""
        answer = self._at("textDocument/completion", text)
        items = answer["items"] if isinstance(answer, dict) else answer or []
        return [item["label"] for item in items]

    def hover(self, text: str) -> str:
        """Return what the server says of the word behind `|` in a text."""
        answer = self._at("textDocument/hover", text)
        contents = (answer or {}).get("contents", "")
        return contents if isinstance(contents, str) else contents["value"]

    def ask(self, method: str, params: Message) -> Any:
        """Send a request and return its result."""
        self.count += 1
        number = self.count
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def tell(self, method: str, params: Message) -> None:
        """Send a notice."""
        self._send({"method": method, "params": params})

    def _at(self, method: str, text: str) -> Any:
        before, after = text.split("|", 1)
        uri = self._open(before + after)
        position = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        return self.ask(method, {"textDocument": {"uri": uri}, "position": position})

    def _open(self, text: str) -> str:
        self.count += 1
        uri = (self.folder / f"text_{self.count}.yaml").as_uri()
        self.tell(
            "textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}}
        )
        return uri

    def _next(self) -> Message:
        message = self.messages.get(timeout=20)
        if "method" in message and "id" in message:  # the server asks for its settings, or registers a capability
            known = message["method"] == "workspace/configuration"
            result = [self.settings.get(item.get("section")) for item in message["params"]["items"]] if known else None
            self._send({"id": message["id"], "result": result})
        return message

    def _send(self, message: Message) -> None:
        raw = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(raw), raw))
        self.process.stdin.flush()

    def _listen(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while line := stream.readline():
            length = int(line.split(b":")[1])
            while stream.readline().strip():
                pass
            self.messages.put(json.loads(stream.read(length)))


CAPABILITIES: Message = {
    "workspace": {"configuration": True},
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "hover": {"contentFormat": ["markdown"]},
        "publishDiagnostics": {},
    },
}
