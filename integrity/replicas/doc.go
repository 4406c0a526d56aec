// Package replicas registers the processes of the service in the bucket beside
// the pauses, and lists them. Whoever accepts a loss sees by it which processes
// run, and whether each of them has stopped sending.
//
// A registration is the key _replica.<id>. It is renewed every second, and counts
// for ten seconds by the bucket's own clock. The bucket refuses deletions, so the
// keys of processes that are gone stay: a few hundred bytes each.
package replicas
