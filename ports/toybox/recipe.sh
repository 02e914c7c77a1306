# SPDX-License-Identifier: MIT
#
# toybox, the commands of a base system in one program, by its own kconfig and scripts: its default choice, changed by the
# file `config` beside this one. gzip compresses with zlib. links.txt lists the paths of all commands.

cp -a "$SRC/." .
unset V # its scripts take our make's for their own
toybox() {
    make HOSTCC=gcc CROSS_COMPILE=x86_64-motor-linux-musl- CC=gcc KCONFIG_ALLCONFIG="$ROOT/ports/toybox/config" \
        CFLAGS="-I$PORTS/zlib/usr/include" LDFLAGS="-L$PORTS/zlib/usr/lib" "$@"
}
toybox defconfig
toybox toybox

# A name that this release does not have would be passed over.
grep CONFIG_ "$ROOT/ports/toybox/config" | while IFS= read -r line; do
    grep -qxF "$line" .config || { echo "not in toybox's configuration: $line"; exit 1; }
done

install -D toybox "$OUT/bin/toybox"
./toybox --long | tr ' ' '\n' | sed '/^$/d' >"$OUT/links.txt"
