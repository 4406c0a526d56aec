// Package service carries payments.status over NATS: every replica runs it and
// one of them answers each request. It has no rules of its own; those are in
// package status.
//
// Requests come on payments.status, and on payments.status.<provider>, which lets
// a platform grant a shop one provider. Answers go to inboxes only.
package service
