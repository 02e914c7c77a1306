# SPDX-License-Identifier: MIT
#
# lighttpd by its own CMake build and the SDK's toolchain file. A static lighttpd asks its builder for the list of the
# modules that it shall have: plugin-static.h.

mkdir modules
for module in access accesslog alias auth authn_file deflate dirlisting evhost expire extforward fastcgi indexfile \
    proxy redirect rewrite scgi setenv simple_vhost sockproxy ssi staticfile status userdir webdav wstunnel; do
    echo "PLUGIN_INIT(mod_$module)"
done >modules/plugin-static.h

cmake -S "$SRC" -B . -G 'Unix Makefiles' \
    -DCMAKE_TOOLCHAIN_FILE="$SDK/share/motor.cmake" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_FLAGS="-I$PWD/modules -I$PORTS/zlib/usr/include" \
    -DZLIB_LIBRARY="$PORTS/zlib/usr/lib/libz.a" -DZLIB_INCLUDE_DIR="$PORTS/zlib/usr/include" \
    -DBUILD_STATIC=ON -DWITH_PCRE2=OFF -DWITH_ZLIB=ON
make -j"$(nproc)" lighttpd
install -D build/lighttpd "$OUT/usr/sbin/lighttpd"
