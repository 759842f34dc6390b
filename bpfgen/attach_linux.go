package bpfgen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"admc.dev/admc/bpf"
)

// A Pod is what only its node knows of it.
type Pod struct {
	CgroupPath string // the pod's directory in the unified hierarchy, absolute
	NetNSPath  string // a handle of its network namespace, such as /var/run/netns/NAME
	// ADMCgroup is the directory of the container that the ADM runs in, below
	// CgroupPath. Only its processes are exempt from steering and only their
	// sockets become listeners, exactly in this cgroup, not below it.
	ADMCgroup string
	// Addresses of each receiver of the configuration, by its name in the graph:
	// every address that the pod might dial, cluster addresses as well as pods'.
	Addresses map[string][]netip.Addr
}

// An Attachment holds a pod's programs in the kernel. They go away with Close,
// and with the process: the connections that were steered live on, new ones are
// no longer steered.
type Attachment struct {
	steer, accel *ebpf.Collection // accel is nil when nothing is accelerated
	links        []link.Link
}

// Attach loads the objects and redirects a pod as the configuration says. It
// must come before the ADM listens: a listener that is there already is not
// seen, and counts as dead. It takes CAP_BPF and CAP_NET_ADMIN, CAP_PERFMON for
// acceleration, and Linux 5.18 or later.
func Attach(c *Config, pod Pod) (*Attachment, error) {
	a, err := attach(c, pod)
	if err != nil {
		return nil, fmt.Errorf("redirect a pod of %s: %w", c.Service, err)
	}
	return a, nil
}

func attach(c *Config, pod Pod) (_ *Attachment, err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if !below(pod.CgroupPath, pod.ADMCgroup) {
		return nil, fmt.Errorf("the ADM's cgroup %s is not below the pod's, %s", pod.ADMCgroup, pod.CgroupPath)
	}
	t, err := newTables(c, pod.Addresses)
	if err != nil {
		return nil, err
	}
	a := new(Attachment)
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if err := a.loadSteer(t, pod); err != nil {
		return nil, fmt.Errorf("load the steering object: %w", err)
	}
	if len(t.accelerated) > 0 {
		if err := a.loadAccel(t); err != nil {
			return nil, fmt.Errorf("load the acceleration object: %w", err)
		}
	}
	if err := a.attachSteer(t, pod); err != nil {
		return nil, err
	}
	if a.accel != nil {
		if err := a.attachAccel(pod); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// object reads an embedded object of this machine's byte order.
func object(name string) (*ebpf.CollectionSpec, error) {
	suffix := "_bpfel.o"
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		suffix = "_bpfeb.o"
	}
	return ebpf.LoadCollectionSpecFromReader(bytes.NewReader(bpf.Object(name + suffix)))
}

func (a *Attachment) loadSteer(t *tables, pod Pod) error {
	spec, err := object("steer")
	if err != nil {
		return err
	}
	id, err := cgroupID(pod.ADMCgroup)
	if err != nil {
		return err
	}
	if err := spec.Variables["adm_cgroup"].Set(id); err != nil {
		return err
	}
	t.size(spec)
	if a.steer, err = ebpf.NewCollection(spec); err != nil {
		return err
	}
	return t.fill(a.steer.Maps)
}

func (a *Attachment) loadAccel(t *tables) error {
	spec, err := object("accel")
	if err != nil {
		return err
	}
	spec.Maps["accelerated"].MaxEntries = uint32(len(t.accelerated))
	if a.accel, err = ebpf.NewCollection(spec); err != nil {
		return err
	}
	for port := range t.accelerated {
		if err := a.accel.Maps["accelerated"].Put(port, uint32(1)); err != nil {
			return err
		}
	}
	return nil
}

// attachSteer hangs the programs up in an order that leaves no moment in which a
// connection is steered and its address lost: what remembers comes before what
// steers.
func (a *Attachment) attachSteer(t *tables, pod Pod) error {
	type hook struct {
		cgroup  string
		at      ebpf.AttachType
		program string
	}
	hooks := []hook{
		{pod.ADMCgroup, ebpf.AttachCGroupSockOps, "admc_accept"},
		{pod.ADMCgroup, ebpf.AttachCGroupGetsockopt, "admc_origdst"},
	}
	if len(t.egress) > 0 {
		hooks = append(hooks,
			hook{pod.CgroupPath, ebpf.AttachCGroupSockOps, "admc_dial"},
			hook{pod.CgroupPath, ebpf.AttachCgroupInet4GetPeername, "admc_peername4"},
			hook{pod.CgroupPath, ebpf.AttachCgroupInet6GetPeername, "admc_peername6"},
			hook{pod.CgroupPath, ebpf.AttachCGroupInet4Connect, "admc_connect4"},
			hook{pod.CgroupPath, ebpf.AttachCGroupInet6Connect, "admc_connect6"})
	}
	for _, h := range hooks {
		if err := a.hang(a.steer, h.program, h.cgroup, h.at); err != nil {
			return err
		}
	}
	if len(t.ingress) == 0 {
		return nil
	}
	ns, err := os.Open(pod.NetNSPath)
	if err != nil {
		return fmt.Errorf("open the pod's network namespace: %w", err)
	}
	defer ns.Close()
	l, err := link.AttachNetNs(int(ns.Fd()), a.steer.Programs["admc_inbound"])
	if err != nil {
		return fmt.Errorf("attach admc_inbound to %s: %w", pod.NetNSPath, err)
	}
	a.links = append(a.links, l)
	return nil
}

// attachAccel puts the program on the map before any socket can be in it: one
// that was enrolled earlier would never run it.
func (a *Attachment) attachAccel(pod Pod) error {
	err := link.RawAttachProgram(link.RawAttachProgramOptions{
		Target:  a.accel.Maps["sockets"].FD(),
		Program: a.accel.Programs["admc_redirect"],
		Attach:  ebpf.AttachSkMsgVerdict,
	})
	if err != nil {
		return fmt.Errorf("attach admc_redirect: %w", err)
	}
	return a.hang(a.accel, "admc_meet", pod.CgroupPath, ebpf.AttachCGroupSockOps)
}

func (a *Attachment) hang(c *ebpf.Collection, program, cgroup string, at ebpf.AttachType) error {
	l, err := link.AttachCgroup(link.CgroupOptions{Path: filepath.Clean(cgroup), Attach: at, Program: c.Programs[program]})
	if err != nil {
		return fmt.Errorf("attach %s to %s: %w", program, cgroup, err)
	}
	a.links = append(a.links, l)
	return nil
}

// Counters reads what the programs have counted.
func (a *Attachment) Counters() (Counters, error) {
	var c Counters
	if err := readCounters(a.steer.Maps["counters"], c.steer()); err != nil {
		return c, err
	}
	if a.accel == nil {
		return c, nil
	}
	err := readCounters(a.accel.Maps["counters"], c.accel())
	return c, err
}

// Close detaches the programs, last hung first, and frees their maps.
func (a *Attachment) Close() error {
	var errs []error
	for _, l := range slices.Backward(a.links) {
		errs = append(errs, l.Close())
	}
	a.links = nil
	for _, c := range []*ebpf.Collection{a.steer, a.accel} {
		if c != nil {
			c.Close()
		}
	}
	return errors.Join(errs...)
}
