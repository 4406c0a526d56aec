// Package events is the wire: it turns CloudEvents into the nouns of package
// payment and back. It owns the subjects, the tokens in them, the filter that
// guards every append, the strict decoding and validation of commands, and the
// encoding of results, rejections and timers.
//
// It guarantees that a command it hands out is valid to the last field, that a
// refused message is answered with all of its faults at once and with none of
// its values, that no free text leaves unmasked, and that everything it writes
// can be read back by any CloudEvents 1.0 library. It knows no stream, no
// acknowledgement and no clock; those are left to journal, broker and handlers.
//
// The CloudEvents SDK judges the attributes of each command by the specification
// and does no more: its reading is too lenient (it takes the last of duplicate
// members and knows no percent-encoding of headers), and its writing is too slow.
package events
