#!/usr/bin/env bash
# A release out of a tag: Debian package, tarball, bill of materials and checksums, in target/packaging/out.
#
#   packaging/release.sh v0.1.0     # the tag that is checked out, with nothing changed
#   packaging/release.sh --try      # whatever is there, with the binary of COPAL in place of a build
#
# Wants cargo-deb, and cargo-cyclonedx for the bill: cargo install cargo-deb cargo-cyclonedx --locked
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*"; }
fail() { printf 'release.sh: %s\n' "$*" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
target=${CARGO_TARGET_DIR:-target}
made=target/packaging
out=$made/out
machine=$(uname -m)

case ${1:-} in
  --try)
    copal=${COPAL:-$target/debug/copal}
    ;;
  v*)
    [ "$1" = "v$version" ] || fail "the tag is $1, and Cargo.toml says $version"
    [ "$(git describe --exact-match --tags HEAD 2>/dev/null)" = "$1" ] || fail "$1 is not checked out"
    [ -z "$(git status --porcelain)" ] || fail "something is changed, or not in git"
    say "build"
    cargo build --profile dist --features jemalloc --locked
    copal=$target/dist/copal
    ;;
  *)
    fail "a tag is wanted, as v$version, or --try"
    ;;
esac
[ -x "$copal" ] || fail "there is no $copal"

say "manual pages and completions"
rm -rf "$made"
mkdir -p "$made/man" "$made/completions" "$out"
"$copal" man "$made/man"
"$copal" completions bash >"$made/completions/copal.bash"
"$copal" completions zsh >"$made/completions/_copal"
"$copal" completions fish >"$made/completions/copal.fish"

say "Debian package"
# cargo-deb takes what it packs from the profile `release`.
mkdir -p target/release
cp "$copal" target/release/copal
cargo deb --no-build --output "$out"

say "tarball"
name=copal-$version-$machine-linux
tree=$made/$name
mkdir -p "$tree"
install -m 755 "$copal" "$tree/copal"
strip "$tree/copal"
cp README.md LICENSE-MIT LICENSE-APACHE config.toml.example "$tree"
cp -r docs "$made/man" "$made/completions" "$tree"
mkdir "$tree/packaging"
cp packaging/copal.service packaging/copal.logrotate packaging/alerts.yml packaging/grafana.json "$tree/packaging"
# The same bytes from the same commit: no times and no users of this machine.
stamp=$(git log -1 --format=%ct)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$stamp" -C "$made" -c "$name" |
  gzip -n9 >"$out/$name.tar.gz"

if command -v cargo-cyclonedx >/dev/null; then
  say "bill of materials"
  cargo cyclonedx --manifest-path Cargo.toml --format json --override-filename bom
  mv bom.json "$out/$name.cdx.json"
  rm -f benches/micro/bom.json
elif [ "$1" != --try ]; then
  fail "cargo-cyclonedx is missing"
fi

say "checksums"
(cd "$out" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
