package console

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const recordingsPath = activityPath + "/recordings"

// recordingsView is what the page of recordings shows.
type recordingsView struct {
	Tabs       []viewTab
	Recordings []*musterv1.Recording
	Running    bool
}

func listRecordings(v *visit) error {
	out, err := v.recordings.ListRecordings(v.Context(), &musterv1.ListRecordingsRequest{})
	if err != nil {
		return err
	}
	running := slices.ContainsFunc(out.GetRecordings(), (*musterv1.Recording).GetRunning)
	return v.show("recordings", page{Title: "Recordings", Section: "activity", Data: recordingsView{activityTabs(recordingsPath), out.GetRecordings(), running}})
}

// recordTimes are how long a recording can last.
var recordTimes = []option{{"15m", "15 minutes"}, {"1h", "1 hour"}, {"8h", "8 hours"}, {"24h", "24 hours"}}

// recordForm is what the page shows on which a recording is started.
type recordForm struct {
	Credential entry
	Time       choice
	Most       string
	Redacted   string
	Problem    string
}

func askRecording(v *visit) error { return v.recordingForm("") }

func (v *visit) recordingForm(problem string) error {
	names, err := v.credentialNames()
	if err != nil {
		return err
	}
	f := recordForm{
		Credential: entry{Name: "credential", Value: v.FormValue("credential"), Suggested: names},
		Time:       choice{Name: "time", Value: v.FormValue("time"), Options: recordTimes}, Most: v.FormValue("most"), Redacted: v.FormValue("redacted"), Problem: problem,
	}
	if f.Most == "" {
		f.Most = "1000"
	}
	return v.show("record", page{Title: "Record a client", Section: "activity", Crumbs: recordingCrumbs, Data: f})
}

var recordingCrumbs = []crumb{{"Activity", activityPath}, {"Recordings", recordingsPath}}

func startRecording(v *visit) error {
	length, err := time.ParseDuration(v.FormValue("time"))
	if err != nil {
		return v.recordingForm("Choose how long to record.")
	}
	most, err := strconv.ParseInt(strings.TrimSpace(v.FormValue("most")), 10, 32)
	if err != nil || most < 1 {
		return v.recordingForm("The most requests are a whole number.")
	}
	out, err := v.recordings.StartRecording(v.Context(), &musterv1.StartRecordingRequest{
		Credential: strings.TrimSpace(v.FormValue("credential")), Duration: durationpb.New(length), MaxExchanges: int32(most),
		Redacted: strings.FieldsFunc(v.FormValue("redacted"), func(r rune) bool { return strings.ContainsRune(", \n\r\t;", r) }),
	})
	if isInput(err) || status.Code(err) == codes.NotFound { // such a credential
		return v.recordingForm(messageOf(err))
	}
	if err != nil {
		return err
	}
	return v.done(recordingsPath, "What "+out.GetRecording().GetCredential()+" asks is recorded, within two seconds on every server.")
}

// recording finds one of the tenant's recordings.
func (v *visit) recording() (*musterv1.Recording, error) {
	out, err := v.recordings.ListRecordings(v.Context(), &musterv1.ListRecordingsRequest{})
	if err != nil {
		return nil, err
	}
	for _, r := range out.GetRecordings() {
		if r.GetId() == v.PathValue("id") {
			return r, nil
		}
	}
	return nil, errNoPage
}

func askStopRecording(v *visit) error {
	return v.askRecordingDeed("Stop recording", question{Button: "Stop recording", Text: "What it has so far stays, and can be downloaded."})
}

func askDeleteRecording(v *visit) error {
	return v.askRecordingDeed("Delete the recording of", question{Button: "Delete", Danger: true, Text: "It is removed with all that it holds. Nobody can bring it back."})
}

func (v *visit) askRecordingDeed(deed string, q question) error {
	r, err := v.recording()
	if err != nil {
		return err
	}
	q.Title, q.Back = deed+" "+r.GetCredential()+"?", recordingsPath
	return v.ask(page{Section: "activity", Crumbs: recordingCrumbs}, q)
}

func stopRecording(v *visit) error {
	out, err := v.recordings.StopRecording(v.Context(), &musterv1.StopRecordingRequest{Id: v.PathValue("id")})
	if err != nil {
		return err
	}
	return v.done(recordingsPath, "The recording of "+out.GetRecording().GetCredential()+" has ended.")
}

func deleteRecording(v *visit) error {
	if _, err := v.recordings.DeleteRecording(v.Context(), &musterv1.DeleteRecordingRequest{Id: v.PathValue("id")}); err != nil {
		return err
	}
	return v.done(recordingsPath, "The recording is deleted.")
}

// exportRecording downloads a recording as the file that muster simulate replay plays.
func exportRecording(v *visit) error {
	var exchanges []*musterv1.Exchange
	req := &musterv1.ExportRecordingRequest{Id: v.PathValue("id")}
	return v.download(fileName("recording-"+req.GetId(), "yaml"), "application/yaml", func(w io.Writer) (int, bool, error) {
		for { // the file is one document: it is written when all is read, and a recording is bounded
			out, err := v.recordings.ExportRecording(v.Context(), req)
			if err != nil {
				return 0, false, err
			}
			exchanges = append(exchanges, out.GetExchanges()...)
			if req.PageToken = out.GetNextPageToken(); req.GetPageToken() == "" {
				return len(exchanges), false, WriteRecording(w, out.GetRecording(), exchanges)
			}
		}
	})
}
