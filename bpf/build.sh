#!/usr/bin/env bash
# Builds the redirect objects and their checksums.
#
#   bpf/build.sh [DIR]    writes *.o and SHA256SUMS to DIR (default: beside this script)
#
# The same sources give the same bytes from any directory with Debian 12's
# clang 14, linux-libc-dev and libbpf-dev; CLANG and LLVM_STRIP choose others.
set -euo pipefail

src=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$src}"
out=$(cd "${1:-$src}" && pwd)
clang=${CLANG:-$(command -v clang-14 || echo clang)}
strip=${LLVM_STRIP:-$(command -v llvm-strip-14 || echo llvm-strip)}

# <asm/types.h> is in the directory of the build machine's architecture.
arch=$("$clang" -print-multiarch 2>/dev/null || true)
[ -n "$arch" ] || arch=$(uname -m)-linux-gnu

# The sources are named relative to their directory, and that directory is "."
# in the debugging information: no path of this machine gets into an object.
cd "$src"
for name in steer accel; do
	for target in bpfel bpfeb; do
		"$clang" -target "$target" -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
			-fno-ident -fdebug-compilation-dir=. "-I/usr/include/$arch" \
			-c "$name.bpf.c" -o "$out/${name}_$target.o"
		"$strip" -g "$out/${name}_$target.o"
	done
done
cd "$out"
sha256sum {accel,steer}_{bpfeb,bpfel}.o >SHA256SUMS
