package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// userBody is a user of about 1.5 KB, as a provisioning client writes it.
func userBody(n int64) []byte {
	return fmt.Appendf(nil, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],`+
		`"externalId":"ext-%[1]d","userName":"user.%[1]d@example.com","active":true,"displayName":"User Number %[1]d","nickName":"u%[1]d",`+
		`"name":{"formatted":"Ms. User Number %[1]d, III","familyName":"Number%[1]d","givenName":"User","middleName":"Of","honorificPrefix":"Ms.","honorificSuffix":"III"},`+
		`"profileUrl":"https://login.example.com/user.%[1]d","title":"Senior Tour Guide","userType":"Employee","preferredLanguage":"en-US","locale":"en-US","timezone":"America/Los_Angeles",`+
		`"emails":[{"value":"user.%[1]d@example.com","type":"work","primary":true},{"value":"u%[1]d@home.example.org","type":"home"}],`+
		`"addresses":[{"type":"work","streetAddress":"100 Universal City Plaza","locality":"Hollywood","region":"CA","postalCode":"91608","country":"US","formatted":"100 Universal City Plaza, Hollywood, CA 91608 USA","primary":true},`+
		`{"type":"home","streetAddress":"456 Hollywood Blvd","locality":"Hollywood","region":"CA","postalCode":"91608","country":"US"}],`+
		`"phoneNumbers":[{"value":"+1 555 %07[1]d","type":"work"},{"value":"+1 556 %07[1]d","type":"mobile"}],"ims":[{"value":"someaimhandle%[1]d","type":"aim"}],"photos":[{"value":"https://photos.example.com/profilephoto/72930000000Ccne/%[1]d","type":"photo"},{"value":"https://photos.example.com/profilephoto/thumb/%[1]d","type":"thumbnail"}],`+
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%[1]d","costCenter":"4130","organization":"Universal Studios","division":"Theme Park","department":"Tour Operations"}}`, n)
}

func newClient(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true}, Timeout: time.Minute}
}

// errDone ends a load before its time.
var errDone = errors.New("done")

// load calls do from as many goroutines as there are connections, until the time
// is over or do returns errDone, and returns calls a second. A zero duration means
// until errDone.
func load(ctx context.Context, connections int, duration time.Duration, do func(ctx context.Context) error) (float64, error) {
	var calls atomic.Int64
	var failed error
	var once sync.Once
	var wg sync.WaitGroup
	start := time.Now()
	for range connections {
		wg.Go(func() {
			for duration == 0 || time.Since(start) < duration {
				err := do(ctx)
				if errors.Is(err, errDone) {
					return
				}
				if err != nil {
					once.Do(func() { failed = err })
					return
				}
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds(), failed
}

// best repeats a measurement and returns the best.
func (p plan) best(ctx context.Context, do func(ctx context.Context) error) (float64, error) {
	var top float64
	for range p.rounds {
		rate, err := load(ctx, p.connections, p.round, do)
		if err != nil {
			return 0, err
		}
		top = max(top, rate)
	}
	return top, nil
}

// send makes one request and returns the body of the answer.
func send(ctx context.Context, client *http.Client, method, url, token string, body io.Reader, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %.300s", method, url, res.Status, data)
	}
	return data, err
}
