"""TesterArmy's API as facts: one file for each resource in ``resources/``, and what is made from them.

:mod:`.notation` describes the notation. Tests of client and sandbox use :func:`.document.openapi`. Set
``TESTERARMY_OPENAPI`` to the path of the vendor's OpenAPI document to compare it with these facts.
"""
