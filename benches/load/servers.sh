# shellcheck shell=bash
# The servers under load.sh: an nginx origin, Copal, and what else is installed, each with a cache
# in memory, two workers or threads, no access log, on a loopback port of its own. To be sourced.
#
# Every start_NAME puts its process into PID[NAME] and its port into PORT[NAME].

declare -A PID PORT
FOLDER=$(mktemp -d /dev/shm/copal-load.XXXXXX)
ONE_KIB=$(head -c 1024 /dev/zero | tr '\0' x)

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# launch NAME COMMAND...: in the background, its output in a file.
launch() {
    local name=$1
    shift
    "$@" >"$FOLDER/$name.out" 2>"$FOLDER/$name.err" &
    PID[$name]=$!
}

# await NAME: until its port takes a connection, or the process has ended.
await() {
    local name=$1 tries
    for ((tries = 0; tries < 200; tries++)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/${PORT[$name]}") 2>/dev/null; then
            return
        fi
        kill -0 "${PID[$name]}" 2>/dev/null || break
        sleep 0.05
    done
    echo "$name does not start:" >&2
    tail -5 "$FOLDER/$name.err" >&2
    exit 1
}

stop() {
    local name=$1
    kill "${PID[$name]}" 2>/dev/null || true
    wait "${PID[$name]}" 2>/dev/null || true
    unset "PID[$name]"
}

stop_all() {
    local name
    for name in "${!PID[@]}"; do
        stop "$name"
    done
    rm -rf "$FOLDER"
}

# Its error log is where `nginx -p` puts it; nothing is written outside of the folder.
nginx_config() {
    local name=$1
    mkdir -p "$FOLDER/$name"
    cat <<END
user root; daemon off; worker_processes 2; worker_rlimit_nofile 20000;
pid $FOLDER/$name/pid; error_log $FOLDER/$name/error.log;
events { worker_connections 9000; }
http {
    client_body_temp_path $FOLDER/$name/t1; proxy_temp_path $FOLDER/$name/t2;
    fastcgi_temp_path $FOLDER/$name/t3; uwsgi_temp_path $FOLDER/$name/t4;
    scgi_temp_path $FOLDER/$name/t5;
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    default_type application/octet-stream;
    $(cat)
}
END
}

# start_nginx NAME: with the configuration that is its standard input, within `http`.
start_nginx() {
    local name=$1
    PORT[$name]=${PORT[$name]:-$(free_port)}
    nginx_config "$name" >"$FOLDER/$name.conf"
    launch "$name" nginx -p "$FOLDER/$name" -e "$FOLDER/$name.err" -c "$FOLDER/$name.conf"
    await "$name"
}

# /1k and /1m are cacheable files, /pass/1k must not be stored; /miss/ANY and /tiny/ANY are 1 KiB and
# 100 bytes, cacheable under any name; /slow/ANY is 16 KiB that take about a second. Requests that a
# cache should spare the origin are logged in asked.log, to be counted.
start_origin() {
    mkdir -p "$FOLDER/files"
    head -c 1024 /dev/zero >"$FOLDER/files/1k"
    head -c 1048576 /dev/zero >"$FOLDER/files/1m"
    head -c 16384 /dev/zero >"$FOLDER/files/16k"
    head -c 100 /dev/zero >"$FOLDER/files/100"
    PORT[origin]=$(free_port)
    start_nginx origin <<END
    open_file_cache max=100;
    server {
        listen 127.0.0.1:${PORT[origin]} backlog=4096 reuseport; root $FOLDER/files;
        add_header Cache-Control max-age=3600;
        location / { access_log $FOLDER/asked.log; }
        location /pass/ { alias $FOLDER/files/; add_header Cache-Control no-store; }
        location /miss/ { try_files /1k =404; }
        location /tiny/ { try_files /100 =404; }
        location /slow/ {
            try_files /16k =404; limit_rate 8k; access_log $FOLDER/asked.log;
        }
    }
END
}

# No cache: what nginx takes to answer a constant, as the line to compare the others with.
start_constant() {
    PORT[constant]=$(free_port)
    start_nginx constant <<END
    server {
        listen 127.0.0.1:${PORT[constant]} backlog=4096 reuseport;
        location / { return 200 "$ONE_KIB"; }
    }
END
}

start_copal() {
    PORT[copal]=$(free_port)
    launch copal "$COPAL" run --listen "127.0.0.1:${PORT[copal]}" \
        --origin "http://127.0.0.1:${PORT[origin]}" --memory 1GiB
    await copal
}

# What must not be stored is told apart by its path, as its operators do: with the cache's lock nginx
# asks for one such response after the other.
start_proxy_cache() {
    PORT[nginx]=$(free_port)
    start_nginx nginx <<END
    proxy_cache_path $FOLDER/cache levels=1:2 keys_zone=all:128m max_size=2g use_temp_path=off;
    open_file_cache max=10000; open_file_cache_min_uses 2;
    upstream origin { server 127.0.0.1:${PORT[origin]}; keepalive 128; }
    server {
        listen 127.0.0.1:${PORT[nginx]} backlog=4096 reuseport;
        proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_cache_lock on; proxy_cache_lock_timeout 30s;
        location / { proxy_pass http://origin; proxy_cache all; }
        location /pass/ { proxy_pass http://origin; }
    }
END
}

start_varnish() {
    PORT[varnish]=$(free_port)
    mkdir "$FOLDER/varnish"
    launch varnish varnishd -F -j none -n "$FOLDER/varnish" -s malloc,1g \
        -a "127.0.0.1:${PORT[varnish]}" -b "127.0.0.1:${PORT[origin]}" \
        -p thread_pool_min=100 -p timeout_idle=60
    await varnish
}

start_haproxy() {
    PORT[haproxy]=$(free_port)
    cat >"$FOLDER/haproxy.conf" <<END
global
    nbthread 2
    maxconn 9000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    http-reuse always
cache all
    total-max-size 1024
    max-object-size 2097152
    max-age 3600
frontend in
    bind 127.0.0.1:${PORT[haproxy]} backlog 4096
    default_backend origin
backend origin
    http-request cache-use all
    http-response cache-store all
    server origin 127.0.0.1:${PORT[origin]}
END
    launch haproxy haproxy -db -f "$FOLDER/haproxy.conf"
    await haproxy
}

# start_servers: Copal and the peers that are installed; their names go into SERVERS.
start_servers() {
    start_origin
    start_copal
    start_proxy_cache
    SERVERS=(copal nginx)
    if command -v varnishd >/dev/null; then
        start_varnish
        SERVERS+=(varnish)
    fi
    if command -v haproxy >/dev/null; then
        start_haproxy
        SERVERS+=(haproxy)
    fi
}

# family NAME: its process and the workers of it.
family() {
    echo "${PID[$1]}"
    pgrep -P "${PID[$1]}" || true
}

# cpu_us NAME: processor time of the family so far, user and system, in microseconds.
cpu_us() {
    local pid ticks=0 each
    for pid in $(family "$1"); do
        # What stands before the last `)` is the command's name, which may hold anything.
        each=$(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat")
        ticks=$((ticks + each))
    done
    echo $((ticks * 1000000 / $(getconf CLK_TCK)))
}

# memory_kib NAME: resident memory of the family, pages that are shared counted once, and for nginx
# the bodies, which lie in a memory file system.
memory_kib() {
    local pid files=0
    if [[ $1 == nginx ]]; then
        files=$(du -sk "$FOLDER/cache" | cut -f1)
    fi
    for pid in $(family "$1"); do
        cat "/proc/$pid/smaps_rollup"
    done | awk -v sum="$files" '/^Pss:/ { sum += $2 } END { print sum }'
}
