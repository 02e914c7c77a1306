# SPDX-License-Identifier: MIT
#
# nginx with its default modules and the paths of a server. Its configure script runs what it compiles: programs for
# Motor run on a Linux host too, so it finds what there is by itself. The libraries are named by relative paths,
# because nginx -V shows these options.

cp -a "$SRC/." .
mkdir needs
ln -s "$PORTS/zlib/usr" needs/zlib
ln -s "$PORTS/pcre2/usr" needs/pcre2

./configure \
    --with-cc=x86_64-motor-linux-musl-gcc \
    --with-cc-opt='-O2 -Ineeds/zlib/include -Ineeds/pcre2/include' \
    --with-ld-opt='-Lneeds/zlib/lib -Lneeds/pcre2/lib' \
    --prefix=/etc/nginx --sbin-path=/usr/sbin/nginx --conf-path=/etc/nginx/nginx.conf \
    --error-log-path=/var/log/nginx/error.log --http-log-path=/var/log/nginx/access.log \
    --pid-path=/run/nginx.pid --lock-path=/run/nginx.lock \
    --http-client-body-temp-path=/var/cache/nginx/client_body --http-proxy-temp-path=/var/cache/nginx/proxy \
    --http-fastcgi-temp-path=/var/cache/nginx/fastcgi --http-uwsgi-temp-path=/var/cache/nginx/uwsgi \
    --http-scgi-temp-path=/var/cache/nginx/scgi \
    --with-threads --with-http_stub_status_module

# What a server on Motor relies on must have been found.
for feature in EPOLL EPOLLRDHUP EVENTFD SENDFILE ACCEPT4 ZLIB PCRE; do
    grep -q "define NGX_[A-Z_]*$feature " objs/ngx_auto_config.h || { echo "nginx did not find $feature"; exit 1; }
done

make
install -D objs/nginx "$OUT/usr/sbin/nginx"
install -D -m 644 conf/mime.types "$OUT/etc/nginx/mime.types"
