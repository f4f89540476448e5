#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
# What the sources named can say, a line each: said.py FILE.cpp...
#
# The command: the texts of calls that warn, fail or find something. The library: its sentences;
# those that a diagnosis is put together of are known to the tests of diagnoses. What stands for
# something else, as {} does, is an X.
import re
import sys

# Of usage errors, the line that follows them is explained.
CALLS = r"\b(?:warn|Failure|obstacle|refuse_or_warn|say|report\.fail)\("
LITERAL = r'"((?:[^"\\\n]|\\.)*)"'


def call(text, begin):
    """Up to the bracket that closes it."""
    depth, quoted, at = 1, False, begin
    while depth and at < len(text):
        if text[at] == '"' and text[at - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return text[begin : at - 1]


def literals(code):
    """Those that stand beside each other are one."""
    for run in re.finditer(rf"{LITERAL}(?:\s*{LITERAL})*", code):
        words = "".join(re.findall(LITERAL, run.group()))
        yield re.sub(r"\{[^}]*\}", "X", words).replace('\\"', '"').replace("\\n", "")


def said_by_command(text):
    for match in re.finditer(CALLS, text):
        texts = list(literals(call(text, match.end())))
        topic = f"{texts[0]}: " if texts and re.fullmatch("[a-z]+", texts[0]) else ""
        words = [text for text in texts if " " in text and text[0] != ";" and text != " in "]
        if words and re.search("[a-z]{4}", words[0].replace("not X", "")):
            yield topic + ("X" if words[0][0] in " :" else "") + words[0]
    yield from (line for line in literals(text) if "; fix: " in line[1:])
    for match in re.finditer(rf"note\(\) const noexcept \{{(.*?)^\}}", text, re.M | re.S):
        yield from (line for line in literals(match.group(1)) if line.count(" ") > 2)


def said_by_library(text):
    """The sentences that it has as constants, and what the store says of itself."""
    for match in re.finditer(rf"constexpr char k\w+\[\] =\s*((?:{LITERAL}\s*)+);", text):
        yield from literals(match.group(1))
    for match in re.finditer(r"\{\s*\"((?:through the page cache|its buffers)[^\"]*)\"", text):
        yield f"store X: {match.group(1)}"


for path in sys.argv[1:]:
    source = open(path, encoding="utf-8").read()
    source = re.sub(r"^\s*//.*$", "", source, flags=re.M)
    find = said_by_command if "/command/" in path else said_by_library
    for line in find(source):
        print(line)
