package events

// Message is what travels over a stream, free of any client library: a
// subject, headers (names as they came) and data.
type Message struct {
	Subject string
	Header  map[string][]string
	Data    []byte
}
