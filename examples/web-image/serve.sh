#!/bin/sh
# Serves /www on $PORT (8080); / says who answers, /healthz says ok. Ends at once on SIGTERM.
: "${PORT:=8080}"
root=${WWW:-/www}
mkdir -p "$root/cgi-bin" 2>/dev/null
echo "Hello from $(hostname), version $VERSION" >"$root/index.html"
echo ok >"$root/healthz"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nenv\n' >"$root/cgi-bin/env" && chmod +x "$root/cgi-bin/env"
echo "version $VERSION listens on port $PORT"
httpd -f -v -p "$PORT" -h "$root" &
server=$!
trap 'kill $server; exit 0' TERM INT
wait $server
