package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// told is what the core tells the REST face of a recording, with the answer to a read.
func told(s *Server, token string) string {
	var header metadata.MD
	_, _ = musterv1.NewProvisioningServiceClient(s.Conn()).ListUsers(as(token), &musterv1.ListUsersRequest{}, grpc.Header(&header))
	return strings.Join(header.Get(recordingKey), " ")
}

func exchange(n int) *musterv1.Exchange {
	return &musterv1.Exchange{Time: timestamppb.Now(), Method: "POST", Path: fmt.Sprintf("/Users?n=%d", n), RequestBody: `{"userName":"ada.lovelace","password":"correct horse"}`,
		Status: 201, AnswerBody: `{"userName":"ada.lovelace"}`, AnswerHeader: map[string]string{"Location": "http://h/Users/ada.lovelace"}}
}

func TestRecording(t *testing.T) {
	s := usedServer(t)
	c := musterv1.NewRecordingServiceClient(s.Conn())
	boss := as("boss")
	if got := told(s, "user"); got != "" {
		t.Fatalf("nothing is recorded, and it tells %q", got)
	}
	started, err := c.StartRecording(boss, &musterv1.StartRecordingRequest{Credential: "user", Redacted: []string{"userName"}, MaxExchanges: 150})
	if err != nil {
		t.Fatal(err)
	}
	r := started.GetRecording()
	if lasts := r.GetEndTime().AsTime().Sub(r.GetStartTime().AsTime()); lasts != 15*time.Minute || !r.GetRunning() || r.GetMaxExchanges() != 150 {
		t.Errorf("started %v", r)
	}
	if got := told(s, "user"); got != r.GetId() || told(s, "boss") != "" || told(s, "unknown") != "" {
		t.Errorf("it tells %q", got)
	}
	for n := range 150 {
		if _, err := c.RecordExchange(context.Background(), &musterv1.RecordExchangeRequest{Recording: r.GetId(), Base: "http://h", Exchange: exchange(n)}); err != nil {
			t.Fatal(err)
		}
	}
	var all []*musterv1.Exchange
	for token, more := "", true; more; more = token != "" {
		page, err := c.ExportRecording(boss, &musterv1.ExportRecordingRequest{Id: r.GetId(), PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		all, token = append(all, page.GetExchanges()...), page.GetNextPageToken()
		r = page.GetRecording()
	}
	if len(all) != 150 || all[149].GetPath() != "/Users?n=149" || all[0].GetStatus() != 201 || r.GetRunning() || r.GetExchanges() != 150 {
		t.Errorf("%d exchanges, the recording is %v", len(all), r)
	}
	if text := fmt.Sprint(all); strings.Contains(text, "ada.lovelace") || strings.Contains(text, "correct horse") || !strings.Contains(text, "${base}/Users/redacted-") {
		t.Errorf("recorded is %v", all[0])
	}
	if err := s.RefreshRecordings(t.Context()); err != nil || told(s, "user") != "" {
		t.Errorf("a full recording goes on: %v", err)
	}
	if _, err := c.DeleteRecording(boss, &musterv1.DeleteRecordingRequest{Id: r.GetId()}); err != nil {
		t.Error(err)
	}
	if all, err := c.ListRecordings(boss, &musterv1.ListRecordingsRequest{}); err != nil || len(all.GetRecordings()) != 0 {
		t.Errorf("left are %v, %v", all, err)
	}
}

// Who is known and not let in is recorded as such, and stops where he is told to.
func TestRecording_RefusedAndStopped(t *testing.T) {
	s := usedServer(t)
	c := musterv1.NewRecordingServiceClient(s.Conn())
	started, err := c.StartRecording(as("boss"), &musterv1.StartRecordingRequest{Credential: "user"})
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.store.Tenant(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.UpdateCredential(t.Context(), "user", func(c *store.Credential) error { c.Expires = time.Now().Add(-time.Hour); return nil }); err != nil {
		t.Fatal(err)
	}
	id := started.GetRecording().GetId()
	if got := told(s, "user"); got != id+refusedMark {
		t.Errorf("of one that has expired it tells %q", got)
	}
	e := exchange(1)
	e.RequestBody, e.AnswerBody = `{"x":"`+strings.Repeat("x", maxRecordedBody)+`"}`, ""
	if _, err := c.RecordExchange(context.Background(), &musterv1.RecordExchangeRequest{Recording: id + refusedMark, Exchange: e}); err != nil {
		t.Fatal(err)
	}
	page, err := c.ExportRecording(as("boss"), &musterv1.ExportRecordingRequest{Id: id})
	if err != nil || len(page.GetExchanges()) != 1 || !page.GetExchanges()[0].GetRefused() || !page.GetExchanges()[0].GetRequestCut() || page.GetExchanges()[0].GetRequestBody() != "" {
		t.Errorf("recorded is %v, %v", page, err)
	}
	if out, err := c.StopRecording(as("boss"), &musterv1.StopRecordingRequest{Id: id}); err != nil || out.GetRecording().GetRunning() || told(s, "user") != "" {
		t.Errorf("stopped: %v, %v", out, err)
	}
}

func TestRecording_WhatIsRefused(t *testing.T) {
	s := usedServer(t)
	c := musterv1.NewRecordingServiceClient(s.Conn())
	for _, bad := range []*musterv1.StartRecordingRequest{
		{Credential: "user", Duration: durationpb.New(25 * time.Hour)}, {Credential: "user", Duration: durationpb.New(0)}, {Credential: "user", MaxExchanges: 10_001},
		{Credential: "user", MaxExchanges: -1}, {Credential: "user", Redacted: []string{"value"}}, {Credential: "user", Redacted: []string{"a b"}},
	} {
		if _, err := c.StartRecording(as("boss"), bad); reasonOf(err) != "invalidValue" {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, id := range []string{"", "x", "-1", "7"} {
		if _, err := c.ExportRecording(as("boss"), &musterv1.ExportRecordingRequest{Id: id}); reasonOf(err) != "notFound" {
			t.Errorf("the recording %q: %v", id, err)
		}
	}
	if _, err := c.StartRecording(as("user"), &musterv1.StartRecordingRequest{Credential: "user"}); reasonOf(err) != "forbidden" {
		t.Errorf("by who is no administrator: %v", err)
	}
	// What only the REST face may do nobody does over a socket.
	socket := musterv1.NewRecordingServiceClient(overSocket(t, s))
	for token, want := range map[string]codes.Code{"boss": codes.PermissionDenied, "user": codes.PermissionDenied, "wrong": codes.Unauthenticated} {
		if _, err := socket.RecordExchange(as(token), &musterv1.RecordExchangeRequest{Recording: "1", Exchange: exchange(1)}); status.Code(err) != want {
			t.Errorf("over a socket with %s: %v", token, err)
		}
	}
}
