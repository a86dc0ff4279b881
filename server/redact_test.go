package server

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-scim/muster/scim"
)

func TestRedactor(t *testing.T) {
	const secret, name = "correct horse battery", "ada.lovelace"
	r := newRedactor([]byte("key"), []string{"USERNAME", "emails"})
	user, password := r.placeholder(name, false), r.placeholder(secret, true)
	if user == password || user == name || r.placeholder(name, false) != user {
		t.Fatalf("the placeholders are %s and %s", user, password)
	}
	for _, c := range []struct{ in, want string }{
		{`{"userName":"ada.lovelace","title":"x"}`, `{"title":"x","userName":"` + user + `"}`},
		{`{"password":"correct horse battery"}`, `{"password":"` + password + `"}`},
		{`{"Operations":[{"op":"add","path":"password","value":"correct horse battery"}]}`, `{"Operations":[{"op":"add","path":"password","value":"` + password + `"}]}`},
		{`{"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:core:2.0:User:userName","value":"ada.lovelace"}]}`,
			`{"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:core:2.0:User:userName","value":"` + user + `"}]}`},
		{`{"Operations":[{"op":"replace","value":{"userName":"ada.lovelace","active":true}}]}`, `{"Operations":[{"op":"replace","value":{"active":true,"userName":"` + user + `"}}]}`},
		{`{"Operations":[{"data":{"password":"correct horse battery"}}]}`, `{"Operations":[{"data":{"password":"` + password + `"}}]}`},
		{`{"emails":[{"value":"ada.lovelace","primary":true,"order":7}]}`, `{"emails":[{"order":0,"primary":true,"value":"` + user + `"}]}`},
		{`{"detail":"ada.lovelace is taken","n":12345678901234567890}`, `{"detail":"` + user + ` is taken","n":12345678901234567890}`},
		{`{"location":"http://h/scim/v2/Users/1"}`, `{"location":"${base}/Users/1"}`},
		{`{"filter":"userName eq \"ada.lovelace\" and title eq \"x\""}`, `{"filter":"userName eq \"` + user + `\" and title eq \"x\""}`},
		{`{"urn:ietf:params:scim:schemas:core:2.0:User:userName":"ada.lovelace","emails.value":"ada.lovelace"}`, `{"emails.value":"` + user + `","urn:ietf:params:scim:schemas:core:2.0:User:userName":"` + user + `"}`},
		{`{"userName":`, notJSON},
		{`{} {}`, notJSON},
		{``, ``},
	} {
		if got := r.body([]byte(c.in), "http://h/scim/v2"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.in, got, c.want)
		}
	}
	for in, want := range map[string]string{
		`userName eq "ada.lovelace"`:                         `userName eq "` + user + `"`,
		`title eq "x" or USERNAME sw "ada.lovelace"`:         `title eq "x" or USERNAME sw "` + user + `"`,
		`emails[type eq "work" and value co "ada.lovelace"]`: `emails[type eq "` + r.placeholder("work", false) + `" and value co "` + user + `"]`,
		`(userName eq ada.lovelace) or title eq 7`:           `(userName eq ` + user + `) or title eq 7`,
		`userName eq "ada`:                                   `userName eq ` + r.placeholder(`"ada`, false),
		`emails.value eq "ada.lovelace"`:                     `emails.value eq "` + user + `"`,
		`emails[primary eq true].value pr and title eq "x"`:  `emails[primary eq true].value pr and title eq "x"`,
	} {
		got, err := url.QueryUnescape(strings.TrimPrefix(r.target("/Users?filter="+url.QueryEscape(in), ""), "/Users?filter="))
		if err != nil || got != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
	if got := r.target("/Users/ada.lovelace?count=1&filter=%zz", ""); got != "/Users/"+user+"?count=1&filter="+url.QueryEscape(notJSON) {
		t.Errorf("a path: %s", got)
	}
	if other := r.placeholder("ADA.Lovelace", false); !strings.EqualFold(other, user) || other == user || r.placeholder("ADA.lovelace", false) == other {
		t.Errorf("in other letter case it is %s, and not %s", other, user)
	}
	// Another recording has other placeholders, another server the same for what was named.
	if newRedactor([]byte("other"), nil).placeholder(name, false) == user || newRedactor([]byte("key"), nil).placeholder(name, false) != user {
		t.Error("placeholders do not depend on the recording alone")
	}
	if !r.isSecret("password") || r.isSecret("userName") || r.hides("title") || r.secrets.Load().of != scim.Contract {
		t.Error("what is a secret is not what the schemas say")
	}
}
