# SPDX-License-Identifier: MIT OR Apache-2.0
# The list under DIAGNOSTICS of a page of the manual, of what "explain --all" prints:
#   awk -v page=PAGE -f diagnostics.awk

# Quotes and hyphens stay what they are where they are copied from a terminal.
function roff(text) {
    gsub(/--/, "\\-\\-", text)
    gsub(/ -/, " \\-", text)
    gsub(/'/, "\\(aq", text)
    return text
}

# A sentence begins a line, of which none is long.
function print_text(text,    count, words, i, line) {
    count = split(roff(text), words, " ")
    for (i = 1; i <= count; i++) {
        if (line != "" && (length(line) + length(words[i]) > 78 || line ~ /\.$/)) {
            print line
            line = ""
        }
        line = line (line == "" ? "" : " ") words[i]
    }
    print line
}

/^    [^ ]*\([0-9]\), DIAGNOSTICS$/ {
    if ($1 == page ",") {
        gsub(/"/, "\\(dq", title)
        print ".It Li \"" roff(title) "\""
        print_text(text)
    }
    text = ""
    next
}
/^    / { text = text " " $0; next }
{ title = $0 }
