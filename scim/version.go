package scim

import (
	"slices"
	"strconv"
	"strings"
)

// FormatVersion makes the ETag of a version: W/"n" (RFC 7644 section 3.14).
func FormatVersion(n int64) string { return `W/"` + strconv.FormatInt(n, 10) + `"` }

// Match is the condition of the headers If-Match and If-None-Match (RFC 9110
// section 13.1). The zero Match is no condition.
type Match struct{ is, isNot tags }

// tags are the ETags of one header. The zero tags are those of none.
type tags struct {
	given    bool
	any      bool
	versions []int64
}

// ParseMatch reads the two headers: ETags separated by commas, or "*"; empty where
// there is none. Weak and strong tags are the same here, since SCIM's own examples
// send weak ones. A tag that no resource of ours can have is equal to nothing. The
// error is InvalidVers.
func ParseMatch(ifMatch, ifNoneMatch string) (m Match, err error) {
	if m.is, err = parseTags(ifMatch); err != nil {
		return Match{}, InField("if_match", err)
	}
	if m.isNot, err = parseTags(ifNoneMatch); err != nil {
		return Match{}, InField("if_none_match", err)
	}
	return m, nil
}

func parseTags(header string) (tags, error) {
	header = strings.TrimSpace(header)
	if header == "" {
		return tags{}, nil
	}
	if header == "*" {
		return tags{given: true, any: true}, nil
	}
	t := tags{given: true}
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
			return tags{}, Errorf(InvalidVers, `%q is not an ETag; send the version as it was returned, such as W/"3"`, tag)
		}
		if n, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64); err == nil {
			t.versions = append(t.versions, n)
		}
	}
	return t, nil
}

func (t tags) have(version int64) bool { return t.any || slices.Contains(t.versions, version) }

// Allows tells whether a resource with this version may be changed.
func (m Match) Allows(version int64) bool {
	return (!m.is.given || m.is.have(version)) && !m.isNot.have(version)
}
