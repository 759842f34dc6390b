package kube

import (
	"path"

	"admc.dev/admc/emit/layout"
)

const (
	// certificateVolume brings an ADM its certificates.
	certificateVolume = "admc-tls"
	// spiffeDriver is the CSI driver that mounts the socket of a node's SPIFFE
	// agent into pods (github.com/spiffe/spiffe-csi).
	spiffeDriver = "csi.spiffe.io"
)

// certificateSecret is the Secret (kubernetes.io/tls, with ca.crt besides) that
// has an ADM's certificate. Whoever issues certificates makes it.
func certificateSecret(adm *layout.ADM) string {
	return "admc-" + layout.KubeName(adm.Service) + "-tls"
}

func certificateVolumes(adm *layout.ADM) []volume {
	v := volume{Name: certificateVolume}
	switch directory, socket := adm.Certificates(); {
	case directory != "":
		v.Secret = &secretVolume{certificateSecret(adm)}
	case socket != "":
		v.CSI = &csiVolume{Driver: spiffeDriver, ReadOnly: true}
	default:
		return nil
	}
	return []volume{v}
}

func certificateMounts(adm *layout.ADM) []mount {
	at, socket := adm.Certificates()
	if socket != "" {
		at = path.Dir(socket)
	}
	if at == "" {
		return nil
	}
	return []mount{{Name: certificateVolume, MountPath: at, ReadOnly: true}}
}

// otherAccount refuses an ADM whose pods run as another account than the graph
// says: its certificate would name the one, and the other ends want the other.
func (o *overlay) otherAccount(adm *layout.ADM, w target) {
	directory, socket := adm.Certificates()
	if w.pod == nil || directory+socket == "" {
		return
	}
	account := w.pod.ServiceAccountName
	if account == "" {
		account = "default"
	}
	if account != adm.Service.ServiceAccount {
		o.bag.Errorf(adm.Service.At, codeOtherAccount, "mtls knows %s by the service account %q, and the pods of %s %s run as %q",
			adm.Service.Name, adm.Service.ServiceAccount, w.kind, w.name, account).
			WithHint("say `serviceAccount: %s` in the graph, or give the pods an account of their own", account)
	}
}
