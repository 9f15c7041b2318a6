package admin

import "encoding/json"

// appendJSON appends v, which must be of a type that always encodes.
func appendJSON(dst []byte, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return append(dst, "null"...)
	}
	return append(dst, body...)
}
