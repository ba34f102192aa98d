#!/bin/sh
# AWS SAM: a function with AutoPublishAlias does not go live when only its layer changes.
#
# aws-sam-translator 1.115.0. The logical id of the AWS::Lambda::Version is a hash of the function as the template has
# it, in which a layer of the same template is still {"Ref": "Layer"}. Changed content gives the layer a new logical id,
# but the version keeps its own, so CloudFormation makes no new version and the alias stays on the old layer.
# AutoPublishAliasAllProperties: true does not help. A changed environment variable does make a new version.
#
# Seen, for each of the two settings:
#   another variable: version new
#   another layer: layer new, version the same
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check aws-sam-translator==1.115.0 boto3==1.44.8
cd "$dir"
venv/bin/python - <<'PROGRAM'
import os
from samtranslator.translator.transform import transform

os.environ["AWS_DEFAULT_REGION"] = "ap-south-1"


class NoManagedPolicies:
    def load(self):
        return {}


def ids(layer, variable, all_properties):
    function = {
        "CodeUri": "s3://bucket/code",
        "Handler": "app.handler",
        "Runtime": "python3.13",
        "AutoPublishAlias": "live",
        "AutoPublishAliasAllProperties": all_properties,
        "Layers": [{"Ref": "Layer"}],
        "Environment": {"Variables": {"NAME": variable}},
    }
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Layer": {"Type": "AWS::Serverless::LayerVersion", "Properties": {"ContentUri": layer}},
            "Function": {"Type": "AWS::Serverless::Function", "Properties": function},
        },
    }
    made = transform(template, {"AWS::Region": "ap-south-1"}, NoManagedPolicies())["Resources"]
    return [
        next(name for name, resource in made.items() if resource["Type"] == f"AWS::Lambda::{kind}")
        for kind in ("Version", "LayerVersion")
    ]


for all_properties in (False, True):
    version, layer = ids("s3://bucket/layer-1", "a", all_properties)
    version_of_variable, _ = ids("s3://bucket/layer-1", "b", all_properties)
    version_of_layer, other_layer = ids("s3://bucket/layer-2", "a", all_properties)
    assert version_of_variable != version
    print("another variable: version new")
    assert other_layer != layer
    assert version_of_layer == version
    print("another layer: layer new, version the same")
PROGRAM
