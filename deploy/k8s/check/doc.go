// Package check holds the manifests beside it to what they must be. It renders
// every overlay and combination of components with kustomize, validates each
// object strictly (a misspelt field is refused), and looks across objects: what
// selects, mounts, references or names something must find it. It is a module of
// its own, so that what it needs never enters the program's dependencies:
//
//	cd deploy/k8s/check && go test ./...
//
// It needs no cluster and no network once its modules are downloaded. With the paths
// of etcd and kube-apiserver in COUNTERMAND_ETCD and COUNTERMAND_KUBE_APISERVER it
// also applies the manifests to a live API server, and tries there what people may.
package check
