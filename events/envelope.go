package events

import (
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// attr numbers the attributes a command's envelope is read for. The first eight
// are those of CloudEvents in the order of the SDK's spec.Kind.
type attr int

const (
	attrID attr = iota
	attrSource
	attrSpecVersion
	attrType
	attrDataContentType
	attrDataSchema
	attrSubject
	attrTime
	attrCorrelationID
	attrTraceParent
	attrTraceState
	attrExpiryTime
	attrCount

	standardCount = attrCorrelationID
	noAttr        = attr(-1)
)

// attrNamed returns the attribute of a name, or noAttr for another extension.
func attrNamed(name string) attr {
	return attr(slices.Index(memberNames()[:attrCount], name)) // −1 is noAttr
}

// name is the inverse of attrNamed.
func (a attr) name() string { return memberNames()[a] }

// memberNames are the members of an event in the JSON format: the attributes in
// the order of their numbers, and the data.
func memberNames() []string {
	return []string{
		"id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time",
		"correlationid", "traceparent", "tracestate", "expirytime", memberData,
	}
}

// The members of an event in the JSON format that hold its data, and how faults name
// the second. The faults of the first are those of the data itself.
const (
	memberData    = "data"
	memberBase64  = "data_base64"
	base64Pointer = "ce-" + memberBase64
)

// pointer is how faults name the attribute.
func (a attr) pointer() string { return "ce-" + a.name() }

// tracing reports whether the attribute is part of the trace context, which is
// never a reason to refuse a command.
func (a attr) tracing() bool { return a == attrTraceParent || a == attrTraceState }

// The longest attributes taken, in characters.
const (
	maxEventID       = 128
	maxSource        = 255
	maxCorrelationID = 255
	maxTraceState    = 512
)

// envelope is a command's event as it was read, in either mode: attribute
// values decoded, data still as it came.
type envelope struct {
	values     [attrCount]string
	present    [attrCount]bool
	extensions []extension
	data       []byte
	hasData    bool
	base64     *string // data_base64, if it was given
	badData    bool    // it has a fault, so that the data must not be called missing as well
	// broken: the message is no event at all, so what is missing from it says nothing.
	broken bool

	time, expiry time.Time
}

// extension is an attribute we do not use.
type extension struct{ name, value string }

// set stores an attribute. One given twice is a fault and counts as not given:
// which of the two was meant cannot be known.
func (e *envelope) set(a attr, value string, f *faults) {
	if e.present[a] {
		if !a.tracing() {
			f.Add(a.pointer(), ruleDuplicate, "")
		}
		e.values[a] = ""
		return
	}
	e.present[a], e.values[a] = true, value
}

// extend stores an extension that is not used, after its name was checked.
func (e *envelope) extend(name, value string, f *faults) {
	if !attributeName(name) {
		f.Add("ce-"+ShortName(name), ruleName, "attribute names are a to z and 0 to 9")
		return
	}
	e.extensions = append(e.extensions, extension{name, value})
}

func attributeName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// check applies the rules of each attribute. What is not valid is emptied, so
// that nothing invalid is passed on to an answer.
func (e *envelope) check(f *faults) {
	switch v := e.values[attrSpecVersion]; {
	case v == "":
		e.fault(attrSpecVersion, ruleRequired, "1.0", f)
	case v != "1.0":
		e.fault(attrSpecVersion, ruleSpecVersion, "1.0", f)
	}
	e.checkText(attrID, maxEventID, true, f)
	e.checkText(attrSource, maxSource, true, f)
	e.checkText(attrCorrelationID, maxCorrelationID, false, f)
	if _, err := url.Parse(e.values[attrSource]); err != nil {
		e.fault(attrSource, rulePattern, "a URI reference", f)
	}
	if !maybeJSON(e.values[attrDataContentType]) {
		e.fault(attrDataContentType, ruleOneOf, "application/json, text/json or a type that ends in +json", f)
	}
	e.time = e.checkTime(attrTime, f)
	e.expiry = e.checkTime(attrExpiryTime, f)
	e.cleanTrace()
}

// fault adds a fault to an attribute unless it has one, and empties it.
func (e *envelope) fault(a attr, rule, detail string, f *faults) {
	e.values[a] = ""
	if !f.Covers(a.pointer()) {
		f.Add(a.pointer(), rule, detail)
	}
}

func (e *envelope) checkText(a attr, longest int, required bool, f *faults) {
	v := e.values[a]
	switch {
	case required && strings.TrimSpace(v) == "":
		e.fault(a, ruleRequired, "", f)
	case hasBreak(v):
		e.fault(a, rulePattern, "no control characters or line breaks", f)
	case utf8.RuneCountInString(v) > longest:
		e.fault(a, ruleMax, "at most "+strconv.Itoa(longest)+" characters", f)
	}
}

// checkTime reads an optional RFC 3339 time. One that cannot be read is a fault
// and never "no time": a command that was to expire must not live for ever.
func (e *envelope) checkTime(a attr, f *faults) time.Time {
	if !e.present[a] || f.Covers(a.pointer()) {
		return time.Time{}
	}
	v := e.values[a]
	t, err := time.Parse(time.RFC3339Nano, v)
	// time.Parse also takes "T1:00:00" and "00,5", which RFC 3339 does not know.
	if err != nil || v[len("2006-01-02T15")] != ':' || strings.Contains(v, ",") {
		e.fault(a, ruleTime, "an RFC 3339 time", f)
		return time.Time{}
	}
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		e.fault(a, ruleRange, "1970 to 9999", f)
		return time.Time{}
	}
	return t
}

// maybeJSON reports whether a datacontenttype can be that of JSON: absent, which means
// JSON, or a media type for JSON. A malformed one is left to the CloudEvents specification.
func maybeJSON(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err != nil || mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}

// cleanTrace drops a malformed trace context instead of refusing the command.
func (e *envelope) cleanTrace() {
	if !validTraceParent(e.values[attrTraceParent]) {
		e.values[attrTraceParent] = ""
	}
	state := e.values[attrTraceState]
	if e.values[attrTraceParent] == "" || len(state) > maxTraceState || !printable(state) {
		e.values[attrTraceState] = ""
	}
}

// printable reports whether s is all printable ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// validTraceParent checks the form of W3C Trace Context, version 00:
// 2-32-16-2 lower-case hex digits, neither id all zero.
func validTraceParent(s string) bool {
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c != '-' || (i != 2 && i != 35 && i != 52)) {
			return false
		}
	}
	return strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}
