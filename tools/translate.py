"""template.yaml as CloudFormation sees it, after SAM's transform: `python -m tools.translate FILE`.

cfn-lint finds a circular dependency in the translated template only; `sam validate --lint` does not.
"""

import copy
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from local.aws import session
from local.deploy import read_template

# SAM wants to know where the code lies, even before anything is built or uploaded.
_SOMEWHERE = "s3://bucket/key"


def translate(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """The template with every AWS::Serverless resource expanded."""
    source = copy.deepcopy(dict(template))
    for resource in source["Resources"].values():
        for code in ("CodeUri", "ContentUri"):
            if code in resource.get("Properties", {}):
                resource["Properties"][code] = _SOMEWHERE
    translator = Translator(None, Parser(), boto_session=session())
    translated: dict[str, Any] = translator.translate(source, parameter_values=dict(parameters))
    return translated


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(translate(read_template(), {}), indent=2, sort_keys=True))
