# a page of markup made from plain text with sed, a table of contents, links checked
cat >page.md <<'E'
# Title of it

Some *emphasis* and **strong** words, `code <b>` & more.
Second line of it.

## First part

- one
- two *x*

See [part two](#second-part) and [nowhere](#missing).

## Second part

    indented code
    more

The end.
E
sed 's/&/\&amp;/g;s/</\&lt;/g;s/>/\&gt;/g' page.md | sed -e 's/^# \(.*\)/<h1>\1<\/h1>/' -e 's/^## \(.*\)/<h2>\1<\/h2>/' -e 's/\*\*\([^*]*\)\*\*/<b>\1<\/b>/g' -e 's/\*\([^*]*\)\*/<i>\1<\/i>/g' -e 's/`\([^`]*\)`/<tt>\1<\/tt>/g' -e 's/\[\([^]]*\)\](\([^)]*\))/<a href="\2">\1<\/a>/g' -e 's/^- \(.*\)/<li>\1<\/li>/' -e 's/^    \(.*\)/<pre>\1<\/pre>/' -e '/^[A-Z]/s/.*/<p>&/' >page.html; cat page.html
sed -n 's/^\(#*\) \(.*\)/\1 \2/p' page.md | while read -r h t; do printf '%*s%s -> #%s\n' $(((${#h} - 1) * 2)) '' "$t" "$(echo "$t" | tr A-Z a-z | tr ' ' -)"; done; grep -o '(#[a-z-]*)' page.md | tr -d '()#' | while read -r a; do grep '^#' page.md | sed 's/^#* //' | tr A-Z a-z | tr ' ' - | grep -qx "$a" && echo "$a ok" || echo "$a broken"; done
grep -c '<' page.html; tr -cd '<' <page.html | wc -c; tr -cd '>' <page.html | wc -c; sed 's/<[^>]*>//g;s/&lt;/</g;s/&gt;/>/g;s/&amp;/\&/g' page.html | diff -u -L a -L b page.md - ; sed -n '/^## First/,/^## /p' page.md | sed '$d' | wc -l; sed -n '/^- /{s///;p;}' page.md; sed '/^$/d' page.md | wc; sed -n '/^    /!p' page.md | tr -s '\n' | wc -l; sed '1!G;h;$!d' page.md | head -n 3; sed -e '/^#/{h;d;}' -e '/./{G;s/\n/ @ /;}' page.md | tail -n 2
