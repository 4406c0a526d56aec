package notifications

import (
	"io"
	"log"
	"net/http"
	"time"
)

// NewServer returns a server for a listener of its own. Whoever is slow is cut
// off, headers are small, nothing is answered but what h answers, and what the
// HTTP library has to say about strangers' bytes is not logged.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  10 * time.Second,
		WriteTimeout:                 15 * time.Second, // the look it waits for is in it
		IdleTimeout:                  60 * time.Second,
		MaxHeaderBytes:               8 << 10,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0),
	}
}
