#!/bin/sh
# cfn-lint passes a SAM template whose translation it refuses.
#
# cfn-lint 1.58.0, aws-sam-translator 1.115.0. Since 1.54 cfn-lint judges a template with the SAM transform by a schema of
# SAM's resources and no longer expands it. A timeout of 5000 s (900 is the most) and a schedule of "rate(1 minutes)"
# (EventBridge wants the singular for one) pass; the same template translated fails for both. Lint the translation too.
#
# Seen:
#   as written: no finding
#   translated: E3027 E3717
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check cfn-lint==1.58.0 aws-sam-translator==1.115.0
cd "$dir"
cat >template.yaml <<'TEMPLATE'
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: s3://bucket/code
      Handler: app.handler
      Runtime: python3.13
      Timeout: 5000
      Events:
        Minute: {Type: Schedule, Properties: {Schedule: "rate(1 minutes)"}}
TEMPLATE
venv/bin/python - 2>translator.log <<'PROGRAM'
import json
import os

import yaml
from samtranslator.translator.transform import transform

os.environ["AWS_DEFAULT_REGION"] = "ap-south-1"


class NoManagedPolicies:
    def load(self):
        return {}


template = yaml.safe_load(open("template.yaml"))
json.dump(transform(template, {"AWS::Region": "ap-south-1"}, NoManagedPolicies()), open("translated.json", "w"))
PROGRAM
found() { venv/bin/cfn-lint --format parseable "$1" | grep -o ':[EW][0-9]\{4\}:' | tr -d : | sort -u | paste -sd' ' -; }
echo "as written: $(found template.yaml)" >seen
echo "translated: $(found translated.json)" >>seen
sed 's/: $/: no finding/' seen
printf 'as written: \ntranslated: E3027 E3717\n' | diff - seen
