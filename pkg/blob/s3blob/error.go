package s3blob

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/lcp-tools/lcp/pkg/blob"
)

// failed says what was being done with which object, why it did not work and
// what to do about it. It returns nil for nil, and the cause of ctx if that is
// done.
func (s *Store) failed(ctx context.Context, doing, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else {
		err = explain(err)
	}
	return fmt.Errorf("%s s3://%s/%s: %w", doing, s.options.Bucket, key, err)
}

// ErrUnreachable says that no answer came from the server.
var ErrUnreachable = errors.New("S3 server cannot be reached")

// An explained error says in fewer words what the SDK does, and what to do.
type explained struct {
	text string
	errs []error // that it is
}

func (e *explained) Error() string   { return e.text }
func (e *explained) Unwrap() []error { return e.errs }

func explain(err error) error {
	var request *url.Error
	var api smithy.APIError
	var garbage *xml.SyntaxError
	e := &explained{errs: []error{err}}
	switch {
	case errors.As(err, &api):
		advice, kind := advise(api.ErrorCode(), err)
		if kind != nil {
			e.errs = append(e.errs, kind)
			e.text = kind.Error() + ": "
		}
		e.text += strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": ") + inAttempts(err) + advice
	case errors.As(err, &request):
		e.errs = append(e.errs, ErrUnreachable)
		e.text = "no answer from " + host(request.URL) + inAttempts(err) + ": " + request.Err.Error()
	case errors.As(err, &garbage):
		return fmt.Errorf("%w (status %d)", errNotS3, status(err))
	case strings.Contains(err.Error(), "get credentials"): // there is no type to know it by
		e.text = "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws, or run where a role is attached"
	default:
		return err
	}
	return e
}

// code is the code of the server's error, or "".
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// unknownUser is how versitygw says InvalidAccessKeyId.
const unknownUser = "XAdminUserNotFound"

// refusesAll reports whether a server that answers with a code would answer any
// other request for the bucket so, too.
func refusesAll(code string) bool {
	switch code {
	case "NoSuchBucket", "InvalidBucketName", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken",
		unknownUser, "RequestTimeTooSkewed", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return true
	default:
		return false
	}
}

// sameFault reports whether both errors are that the server cannot be reached, or
// that it gives the same answer.
func sameFault(a, b error) bool {
	return errors.Is(a, ErrUnreachable) && errors.Is(b, ErrUnreachable) || code(a) != "" && code(a) == code(b)
}

// status is that of the server's answer, or 0.
func status(err error) int {
	answer, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || answer.HTTPResponse() == nil {
		return 0
	}
	return answer.HTTPStatusCode()
}

// advise says what to do about an error, and which of the port's it is, if any.
// The codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
// Answers to HEAD have no body, so their errors are called by the status alone.
func advise(code string, err error) (advice string, kind error) {
	switch code {
	case "NoSuchKey", "NotFound":
		return "", blob.ErrNotFound
	case "NoSuchBucket":
		return "; create the bucket, or correct its name", nil
	case "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch":
		return "; the bytes changed on their way, upload them again", blob.ErrChecksum
	case "AccessDenied", "AllAccessDisabled", "Forbidden":
		return "; the credentials need s3:PutObject, s3:AbortMultipartUpload, s3:GetObject, s3:DeleteObject and s3:ListBucket here" +
			" (and s3:PutObjectAcl for an ACL, kms:GenerateDataKey and kms:Decrypt for a KMS key)", nil
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", unknownUser:
		return "; check the credentials, and that they are for this server", nil
	case "ExpiredToken":
		return "; the credentials have expired, get new ones", nil
	case "RequestTimeTooSkewed":
		return "; set this machine's clock", nil
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "MovedPermanently", "IllegalLocationConstraintException":
		return "; the bucket is in another region" + bucketRegion(err) + ", set that one", nil
	case "SlowDown", "ServiceUnavailable":
		return "; send less at once, or later", nil
	case "PreconditionFailed":
		return "; another object took its place while it was read, begin again", nil
	default:
		return "", nil
	}
}

// bucketRegion is the region that the server names, if it does.
func bucketRegion(err error) string {
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPResponse() == nil {
		return ""
	}
	if r := answer.HTTPResponse().Header.Get("X-Amz-Bucket-Region"); r != "" {
		return " (" + r + ")"
	}
	return ""
}

// inAttempts tells how often it was tried, if more than once.
func inAttempts(err error) string {
	var tried *retry.MaxAttemptsError
	if !errors.As(err, &tried) {
		return ""
	}
	return fmt.Sprintf(" (%d attempts)", tried.Attempt)
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the server"
	}
	return u.Host
}

// errNotS3 is returned for an answer of success without what S3 says then, as
// proxies and login pages give it.
var errNotS3 = errors.New("the server does not answer as S3 does; check the endpoint, and what is between here and there")
