package events

// knownName returns the name in quotes if it is one of a command's, "" else.
func knownName(quoted []byte) string {
	if len(quoted) < 2 {
		return ""
	}
	switch name := quoted[1 : len(quoted)-1]; string(name) {
	case "id":
		return "id"
	case "source":
		return "source"
	case "specversion":
		return "specversion"
	case "type":
		return "type"
	case "datacontenttype":
		return "datacontenttype"
	case "dataschema":
		return "dataschema"
	case "subject":
		return "subject"
	case "time":
		return "time"
	case "correlationid":
		return "correlationid"
	case "traceparent":
		return "traceparent"
	case "tracestate":
		return "tracestate"
	case "expirytime":
		return "expirytime"
	case "data":
		return "data"
	default:
		return knownMember(name)
	}
}

// knownMember is knownName for the data's members.
func knownMember(name []byte) string {
	switch string(name) {
	case "idempotencyKey":
		return "idempotencyKey"
	case "provider":
		return "provider"
	case "payment":
		return "payment"
	case "reason":
		return "reason"
	case "amount":
		return "amount"
	case "full":
		return "full"
	case "orderId":
		return "orderId"
	case "transactionId":
		return "transactionId"
	case "country":
		return "country"
	case "currency":
		return "currency"
	case "capturedAmount":
		return "capturedAmount"
	case "value":
		return "value"
	default:
		return ""
	}
}
