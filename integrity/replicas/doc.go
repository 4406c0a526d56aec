// Package replicas registers the processes of the service in the bucket beside
// the pauses, and lists them. Whoever accepts a loss sees by it which processes
// run, and whether each of them has stopped sending. A process sees by it that
// another one has found a loss.
//
// A registration is a key _replica.<n>. It is renewed every second, and counts
// for ten seconds by the bucket's own clock. The bucket refuses deletions, so a
// process takes over the lowest key that nobody renews: there are never more keys
// than processes have run at the same time.
package replicas
