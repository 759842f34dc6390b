package bpfgen

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// CgroupRoot finds where the unified hierarchy (cgroup v2) is mounted, which is
// /sys/fs/cgroup on most systems and /sys/fs/cgroup/unified on hybrid ones. A
// machine without one can't run the redirect programs.
func CgroupRoot() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find the unified cgroup hierarchy: %w", err)
	}
	defer f.Close()
	return cgroupRoot(f)
}

// cgroupRoot reads mountinfo, see proc_pid_mountinfo(5): the mount point is the
// fifth field, the file system's type the first after a lone dash.
func cgroupRoot(mountinfo io.Reader) (string, error) {
	sc := bufio.NewScanner(mountinfo)
	for sc.Scan() {
		mount, fs, ok := strings.Cut(sc.Text(), " - ")
		fields := strings.Fields(mount)
		if ok && len(fields) >= 5 && strings.HasPrefix(fs, "cgroup2 ") {
			return unescape(fields[4]), nil
		}
	}
	if err := sc.Err(); err != nil {
		return "", fmt.Errorf("find the unified cgroup hierarchy: %w", err)
	}
	return "", fmt.Errorf("the unified cgroup hierarchy (cgroup2) is not mounted")
}

// unescape undoes mountinfo's octal escapes of space, tab, line end, backslash.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// cgroupID is what bpf_get_current_cgroup_id gives for a process in the
// directory: its inode number, on 64-bit kernels.
func cgroupID(dir string) (uint64, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || !st.IsDir() {
		return 0, fmt.Errorf("%s is no cgroup directory", dir)
	}
	return sys.Ino, nil
}

// below reports whether dir is under parent, and not parent itself.
func below(parent, dir string) bool {
	rel, err := filepath.Rel(parent, dir)
	return err == nil && filepath.IsLocal(rel) && rel != "."
}
