#!/bin/sh
# A CGI script (RFC 3875) as they have been written since 1995: it knows nothing of faasd.
# GET shows the form and what the server told it; POST shows what the form held.

escape() {
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g' -e 's/"/\&quot;/g'
}

# name=J%C3%BCrgen+K -> Jürgen K. printf's %b knows \xHH in dash only as octal, so awk does it.
decode() {
    LC_ALL=C awk '
        BEGIN { for (i = 1; i < 256; i++) byte[sprintf("%02X", i)] = sprintf("%c", i) }
        {
            gsub(/\+/, " ")
            out = ""
            while (match($0, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
                out = out substr($0, 1, RSTART - 1) byte[toupper(substr($0, RSTART + 1, 2))]
                $0 = substr($0, RSTART + 3)
            }
            print out $0
        }'
}

case "${REQUEST_METHOD:-GET}" in
GET | HEAD) form=${QUERY_STRING:-} ;;
POST) form=$(head -c "${CONTENT_LENGTH:-0}") ;;
*)
    printf 'Status: 405 Method Not Allowed\r\nAllow: GET, HEAD, POST\r\nContent-Type: text/plain\r\n\r\nonly GET and POST\n'
    exit 0
    ;;
esac

printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
cat <<EOF
<!DOCTYPE html>
<title>Guest book</title>
<h1>Guest book</h1>
<form method="post"><input name="name" placeholder="name"> <input name="text" placeholder="text"> <button>Sign</button></form>
<h2>The form held</h2>
<ul>
EOF
printf '%s\n' "$form" | tr '&' '\n' | while IFS= read -r pair; do
    [ -n "$pair" ] && printf '<li>%s = %s\n' "$(printf '%s' "${pair%%=*}" | decode | escape)" "$(printf '%s' "${pair#*=}" | decode | escape)"
done
printf '</ul>\n<h2>The environment</h2>\n<pre>\n'
env | sort | escape
printf '</pre>\n'
