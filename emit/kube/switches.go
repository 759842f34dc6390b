package kube

import (
	"path"

	"admc.dev/admc/emit/layout"
)

const (
	// runVolume is the directory of the admin socket. No other container of the pod
	// has it, so that the application can't switch off what holds against itself.
	runVolume = "admc-run"
	// SwitchesConfigMap may be there or not, in the ADM's namespace: its keys are the
	// switches of policies (envoy.Switch), and their values 0 or 100. A change
	// reaches running pods as the kubelet brings it to them, and lasts.
	SwitchesConfigMap = "admc-switches"
	switchesDir       = "/etc/admc-switches"
)

// switchesLayer is what the ADM's own files can't say, since Envoy wants the
// directory to be there: a layer of its runtime, over the one that the admin
// socket changes. The kubelet replaces ..data when the ConfigMap changes.
const switchesLayer = `layered_runtime: {layers: [{name: switches, disk_layer: {symlink_root: ` + switchesDir + `/..data}}]}`

func switchVolumes() []volume {
	yes := true
	return []volume{
		{Name: runVolume, EmptyDir: &emptyDir{}},
		{Name: SwitchesConfigMap, ConfigMap: &namedObject{Name: SwitchesConfigMap, Optional: &yes}},
	}
}

func switchMounts() []mount {
	return []mount{
		{Name: runVolume, MountPath: path.Dir(layout.AdminSocket)},
		{Name: SwitchesConfigMap, MountPath: switchesDir, ReadOnly: true},
	}
}
