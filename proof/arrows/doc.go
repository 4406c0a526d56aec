// Package arrows has no code, only a test: imports go one way, from the edges
// to the nouns. The table in arrows_test.go says for each package what it may
// import; a new package needs a row there, so that somebody decides.
package arrows
