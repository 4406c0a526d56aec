// Package roles has no code of its own: its tests hold what each party may do on
// a NATS server. They run a real server that loads exactly the permission files
// under deploy/k8s/components/nats/permissions, once with each way to log in
// (keys, credentials of an operator's hierarchy, client certificates), connect
// through the program's own code, and try what must work and what must not.
package roles
