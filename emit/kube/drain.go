package kube

import (
	"time"

	"admc.dev/admc/emit/layout"
	"admc.dev/admc/lang/ir"
)

type lifecycle struct {
	PreStop struct {
		Exec struct {
			Command []string `yaml:"command"`
		} `yaml:"exec"`
	} `yaml:"preStop"`
}

// drainFirst is the hook that tells callers before the pod ends. The kubelet runs
// it when the pod begins to terminate, beside the application's SIGTERM, and ends
// the proxy itself after the application (Kubernetes: sidecar containers).
func (o *overlay) drainFirst(adm *layout.ADM) *lifecycle {
	if o.Drain == 0 || !adm.Has(ir.Ingress) {
		return nil
	}
	l := &lifecycle{}
	l.PreStop.Exec.Command = []string{"/usr/local/bin/admc", "adm", "drain", "--timeout", o.Drain.String()}
	return l
}

// defaultGrace is a pod's terminationGracePeriodSeconds where it says none.
const defaultGrace = 30 * time.Second

// checkGrace refuses a drain that the kubelet would end by killing everything.
func (o *overlay) checkGrace(adm *layout.ADM, w target) {
	if w.pod == nil || o.drainFirst(adm) == nil {
		return
	}
	grace := defaultGrace
	if w.pod.GracePeriod != nil {
		grace = time.Duration(*w.pod.GracePeriod) * time.Second
	}
	if o.Drain >= grace {
		o.bag.Errorf(adm.Service.At, codeDrainTooLong, "the ADM of %s may drain for %v, and the pods of %s %s are killed %v after they began to end",
			adm.Service.Name, o.Drain, w.kind, w.name, grace).
			WithHint("give the pods a longer terminationGracePeriodSeconds, or say a shorter `drain` in admc.yaml")
	}
}
