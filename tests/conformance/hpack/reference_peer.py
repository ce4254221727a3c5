"""Encodes and decodes header blocks with the `hpack` package: one JSON command a line, one JSON answer a line."""

import json
import sys

from hpack import Decoder, Encoder, HPACKError, NeverIndexedHeaderTuple

encoder = Encoder()
decoder = Decoder(max_header_list_size=1 << 24)


def answer(command):
    if "tableSize" in command:
        encoder.header_table_size = command["tableSize"]
        decoder.max_allowed_table_size = command["tableSize"]
        return {}
    if "encode" in command:
        fields = [
            NeverIndexedHeaderTuple(name.encode("latin-1"), value.encode("latin-1"))
            if never
            else (name.encode("latin-1"), value.encode("latin-1"))
            for name, value, never in command["encode"]
        ]
        return {"block": encoder.encode(fields, huffman=command["huffman"]).hex()}
    try:
        target = Decoder() if command.get("fresh") else decoder
        fields = target.decode(bytes.fromhex(command["decode"]), raw=True)
        return {"fields": [[name.decode("latin-1"), value.decode("latin-1")] for name, value, *_ in fields]}
    except HPACKError as error:
        return {"error": type(error).__name__}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
