package bpfgen

import (
	"strings"
	"testing"
)

func TestCgroupRoot(t *testing.T) {
	const (
		head    = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
		v1      = "36 31 0:33 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
		hybrid  = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw\n"
		unified = "31 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		spaced  = "41 31 0:38 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n"
	)
	for _, tc := range []struct{ mountinfo, want string }{
		{head + unified, "/sys/fs/cgroup"},
		{head + v1 + hybrid, "/sys/fs/cgroup/unified"},
		{spaced, "/mnt/a b"},
		{head + v1, ""},
	} {
		got, err := cgroupRoot(strings.NewReader(tc.mountinfo))
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%q, %v; want %q in\n%s", got, err, tc.want, tc.mountinfo)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, tc := range []struct {
		parent, dir string
		want        bool
	}{
		{"/a/b", "/a/b/c", true},
		{"/a/b/", "/a/b/c/d", true},
		{"/a/b", "/a/b", false},
		{"/a/b", "/a/bc", false},
		{"/a/b", "/a/b/../c", false},
		{"/a/b", "", false},
	} {
		if got := below(tc.parent, tc.dir); got != tc.want {
			t.Errorf("below(%q, %q) = %v", tc.parent, tc.dir, got)
		}
	}
}
