// Package deploy holds no code. Its test reads what operators start from.
package deploy

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// deployment is the part of a Kubernetes Deployment that the sidecar needs.
// What is not named here is an error when it is read.
type deployment struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		Replicas int
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata metadata
			Spec     pod
		}
	}
}

type metadata struct {
	Name                string
	Labels, Annotations map[string]string
}

type pod struct {
	AutomountServiceAccountToken  *bool       `yaml:"automountServiceAccountToken"`
	EnableServiceLinks            *bool       `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int         `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               security    `yaml:"securityContext"`
	InitContainers                []container `yaml:"initContainers"`
	Containers                    []container
	Volumes                       []volume
}

type volume struct {
	Name      string
	ConfigMap struct{ Name string } `yaml:"configMap"`
}

type container struct {
	Name, Image   string
	RestartPolicy string `yaml:"restartPolicy"`
	Command, Args []string
	Env           []variable
	Ports         []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	StartupProbe    *probe `yaml:"startupProbe"`
	ReadinessProbe  *probe `yaml:"readinessProbe"`
	LivenessProbe   *probe `yaml:"livenessProbe"`
	Resources       struct{ Requests, Limits map[string]string }
	SecurityContext security `yaml:"securityContext"`
	VolumeMounts    []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type variable struct {
	Name, Value string
	ValueFrom   struct {
		SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
	} `yaml:"valueFrom"`
}

type probe struct {
	Exec    *struct{ Command []string }
	HTTPGet *struct{ Path, Port string } `yaml:"httpGet"`

	PeriodSeconds    int `yaml:"periodSeconds"`
	TimeoutSeconds   int `yaml:"timeoutSeconds"`
	FailureThreshold int `yaml:"failureThreshold"`
}

type security struct {
	RunAsNonRoot             bool  `yaml:"runAsNonRoot"`
	RunAsUser                int   `yaml:"runAsUser"`
	RunAsGroup               int   `yaml:"runAsGroup"`
	ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
	AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
	Capabilities             struct{ Drop []string }
	SeccompProfile           struct{ Type string } `yaml:"seccompProfile"`
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func manifest(t *testing.T) pod {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "sidecar.yaml")))
	decoder.KnownFields(true)
	var d deployment
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.APIVersion != "apps/v1" || d.Kind != "Deployment" || d.Metadata.Name == "" {
		t.Errorf("%s %s %q is no Deployment", d.APIVersion, d.Kind, d.Metadata.Name)
	}
	for name, value := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Metadata.Labels[name] != value {
			t.Errorf("the selector wants %s=%s, which the pods lack", name, value)
		}
	}
	return d.Spec.Template.Spec
}

func no(b *bool) bool { return b != nil && !*b }

func TestThePodGivesNothingAway(t *testing.T) {
	p := manifest(t)
	if !no(p.AutomountServiceAccountToken) || !no(p.EnableServiceLinks) {
		t.Error("the pod mounts a token or takes variables of Services")
	}
	if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Error("the pod may run as root or make any system call")
	}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		s := c.SecurityContext
		if !s.RunAsNonRoot || s.RunAsUser == 0 || !s.ReadOnlyRootFilesystem || !no(s.AllowPrivilegeEscalation) ||
			!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s has more rights than it needs: %+v", c.Name, s)
		}
		if c.Resources.Requests["cpu"] == "" || c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
			t.Errorf("%s has no bounds: %+v", c.Name, c.Resources)
		}
		if strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image, ":") {
			t.Errorf("%s has no version in its image %s", c.Name, c.Image)
		}
		for _, v := range c.Env {
			if strings.Contains(v.Value, "://") && strings.Contains(v.Value, "@") {
				t.Errorf("%s holds a password", v.Name)
			}
		}
		for _, m := range c.VolumeMounts {
			if !slices.ContainsFunc(p.Volumes, func(v volume) bool { return v.Name == m.Name }) || !m.ReadOnly {
				t.Errorf("%s mounts %s, which is no volume of the pod or can be written", c.Name, m.Name)
			}
		}
	}
}

func TestCaregateIsANativeSidecar(t *testing.T) {
	p := manifest(t)
	if len(p.InitContainers) != 1 || len(p.Containers) != 1 {
		t.Fatalf("%d init containers and %d containers, want one each", len(p.InitContainers), len(p.Containers))
	}
	c := p.InitContainers[0]
	if c.RestartPolicy != "Always" || !slices.Equal(c.Args, []string{"serve"}) || c.Command != nil {
		t.Errorf("runs %v %v with restartPolicy %q", c.Command, c.Args, c.RestartPolicy)
	}
	if c.StartupProbe == nil || c.StartupProbe.Exec == nil || !slices.Equal(c.StartupProbe.Exec.Command, []string{"/caregate", "healthcheck"}) {
		t.Errorf("startup probe %+v", c.StartupProbe)
	}
	if len(c.Ports) != 1 || c.Ports[0].ContainerPort != 8282 {
		t.Fatalf("ports %+v", c.Ports)
	}
	for path, probe := range map[string]*probe{"/health/ready": c.ReadinessProbe, "/health/live": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port != c.Ports[0].Name {
			t.Errorf("probe of %s: %+v", path, probe)
		}
	}
	i := slices.IndexFunc(c.Env, func(v variable) bool { return v.Name == "CAREGATE_REDIS" })
	if i < 0 || c.Env[i].ValueFrom.SecretKeyRef.Name == "" || c.Env[i].ValueFrom.SecretKeyRef.Key == "" {
		t.Error("the URL of Redis comes from no Secret")
	}
}

// The variables of the manifest must be settings that the table describes.
func TestEveryVariableIsDocumented(t *testing.T) {
	page := read(t, "../docs/operating.md")
	for _, v := range manifest(t).InitContainers[0].Env {
		name, ok := strings.CutPrefix(v.Name, "CAREGATE_")
		want := "`" + v.Name + "`"
		if ok {
			want = "| `--" + strings.ToLower(strings.ReplaceAll(name, "_", "-")) + "` |"
		}
		if !strings.Contains(page, want) {
			t.Errorf("docs/operating.md lacks %s", want)
		}
	}
}

// The image has one file, and runs it as the user that the manifest names.
func TestTheImageHoldsTheBinaryAlone(t *testing.T) {
	_, final, ok := strings.Cut(read(t, "../Dockerfile"), "\nFROM scratch\n")
	if !ok {
		t.Fatal("the final image is not empty at first")
	}
	if strings.Count(final, "\nCOPY ")+strings.Count(final, "\nADD ")+strings.Count("\n"+final, "\nRUN ") > 1 ||
		!strings.Contains("\n"+final, "\nCOPY --from=build /out/caregate /caregate\n") {
		t.Error("the final image holds more than the binary")
	}
	for _, line := range []string{"USER 65532:65532", `ENTRYPOINT ["/caregate"]`} {
		if !slices.Contains(strings.Split(final, "\n"), line) {
			t.Errorf("no %s", line)
		}
	}
	if user := manifest(t).InitContainers[0].SecurityContext.RunAsUser; user != 65532 {
		t.Errorf("the manifest runs it as %d", user)
	}
	if strings.Contains(read(t, "../.dockerignore"), "\n.git\n") {
		t.Error("without .git the binary does not know its version")
	}
}
