#!/usr/bin/env bash
# Builds the production binary twice, from two folders, as deploy/Dockerfile does:
# the bytes must be the same. About a minute and a half on two cores. Says its size and what the tag "production" leaves out.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build FOLDER TAGS OUT builds from a folder with the flags of deploy/Dockerfile.
build() {
	local flags
	flags=$(sed -n "s/^RUN CGO_ENABLED=0 go build \(.*\) -o .*/\1/p" deploy/Dockerfile)
	[ -n "$flags" ] || { echo 'deploy/Dockerfile has no "RUN CGO_ENABLED=0 go build"'; exit 1; }
	flags=${flags//'"$TAGS"'/$2}
	[ -n "$2" ] || flags=${flags/-tags /}
	(cd "$1" && eval "CGO_ENABLED=0 GOWORK=off GOFLAGS= go build $flags -o '$3' ./cmd/consumer")
}

mkdir -p "$work/one" "$work/a/longer/path"
git ls-files -z --cached --others --exclude-standard |
	while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
	tar --null -T - -cf - | tar -xf - -C "$work/one"
cp -R "$work/one" "$work/a/longer/path/two"
build "$work/one" production "$work/one.bin"
# With a cache of its own: nothing of the first build is taken over.
GOCACHE="$work/cache" build "$work/a/longer/path/two" production "$work/a/longer/path/two.bin"
first=$(sha256sum <"$work/one.bin") second=$(sha256sum <"$work/a/longer/path/two.bin")
if [ "$first" != "$second" ]; then
	printf 'the same source gave two binaries:\n%s\n%s\n' "$first" "$second"
	exit 1
fi
build "$work/one" '' "$work/dev.bin"

size() { echo "$(($(wc -c <"$1") / 1024)) KiB"; }
echo "sha256 ${first%% *}, twice, with $(go version)"
echo "production: $(size "$work/one.bin"); without the tag: $(size "$work/dev.bin")"
echo 'left out by the tag, beside packages of the standard library:'
comm -13 <(go list -deps -tags production ./cmd/consumer | sort) <(go list -deps ./cmd/consumer | sort) |
	grep -E '^[^/]+\.[^/]+/' | sed -E 's#^(github.com/[^/]+/[^/]+|golang.org/x/[^/]+)(/.*)?$#\1 \2#' |
	awk '$1 ~ /countermand$/ {print "  " $1 $2; next} {n[$1]++} END {for (m in n) print "  " m " (" n[m] " packages)"}' | sort
