"""Debian's WordPress with MariaDB, php-fpm and nginx, in a folder of its own and on loopback."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from stand import free_port, wait_for

PACKAGE = pathlib.Path("/usr/share/wordpress")

CONFIG = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{folder}/mariadb.sock');
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true);
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {{
    define($name . '_KEY', 'a key of a test'); define($name . '_SALT', 'a salt of a test');
}}
$table_prefix = 'wp_';
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

FPM = """
[global]
error_log = {folder}/fpm.log
daemonize = no
[www]
user = www-data
group = www-data
listen = {folder}/fpm.sock
pm = static
pm.max_children = 6
catch_workers_output = yes
"""

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types;
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/www;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        index index.php;
        location / {{ try_files $uri $uri/ /index.php?$args; }}
        location ~ \\.php$ {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param HTTP_HOST $http_host;
            fastcgi_pass unix:{folder}/fpm.sock;
        }}
    }}
}}
"""


class WordPress:
    """The origin: everything that a visitor of a small site has behind the cache."""

    def __init__(self, plugin):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-wordpress-"))
        self.port, self.processes = free_port(), []
        os.chmod(self.folder, 0o755)
        try:
            self._files(plugin)
            self._database()
            self._start(php_fpm(), "--nodaemonize", "-y", self._file("fpm.conf", FPM))
            self._start("nginx", "-p", str(self.folder), "-c", self._file("nginx.conf", NGINX))
            wait_for(self.port)
            self._wait_for_socket("fpm.sock")
        except BaseException:
            self.stop()
            raise

    def _file(self, name, text):
        path = self.folder / name
        path.write_text(text.format(folder=self.folder, port=self.port))
        return str(path)

    def _files(self, plugin):
        # PHP looks for files beside the real place of a file, so a folder of links would not do.
        shutil.copytree(PACKAGE, self.folder / "www", symlinks=False)
        (self.folder / "www" / "wp-content" / "mu-plugins").mkdir()
        (self.folder / "www" / "wp-content" / "mu-plugins" / "purge.php").write_text(plugin)
        self._file("www/wp-config.php", CONFIG)

    def _database(self):
        data, listens = f"--datadir={self.folder}/data", f"--socket={self.folder}/mariadb.sock"
        fresh = ["--skip-test-db", "--auth-root-authentication-method=normal"]
        install = ["mariadb-install-db", "--no-defaults", "--user=root", data, *fresh]
        self._start(*install, stdout=subprocess.DEVNULL).wait()
        files = [
            data,
            listens,
            f"--pid-file={self.folder}/db.pid",
            f"--log-error={self.folder}/db.log",
        ]
        small = ["--table-open-cache=256", "--open-files-limit=1024", "--max-connections=50"]
        fast = ["--skip-networking", "--innodb-flush-log-at-trx-commit=0"]
        self._start("mariadbd", "--no-defaults", "--user=root", *files, *small, *fast)
        self._wait_for_socket("mariadb.sock")
        create = ["mariadb", "--no-defaults", listens, "-e", "CREATE DATABASE wordpress"]
        subprocess.run(create, check=True)
        os.chmod(self.folder / "mariadb.sock", 0o777)

    def _start(self, *command, **options):
        """In a group of its own, for some of these programs start others."""
        process = subprocess.Popen(command, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def _wait_for_socket(self, name):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as it:
                return it.connect(str(self.folder / name))
            time.sleep(0.05)
        raise SystemExit(f"nothing listens on {name}")

    def requests(self, path):
        """How often the access log names this path."""
        # A request is in the log a moment after its answer.
        time.sleep(0.1)
        lines = (self.folder / "access.log").read_text().splitlines()
        return sum(f" {path} HTTP/" in line for line in lines)

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.folder)


def php_fpm():
    return str(max(pathlib.Path("/usr/sbin").glob("php-fpm*")))
