"""Security events (OCPP 2.0.1 part 2, A04, and its appendix 1; security whitepaper of OCPP 1.6, section 8)."""

#: Sent to the CSMS. EVerest also sends the two about firmware, as the test cases TC_L_05_CS and TC_L_06_CS expect.
SENT = frozenset(
    {
        "FirmwareUpdated",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "ResetOrReboot",
        "SettingSystemTime",
        "StartupOfTheDevice",
    }
)

#: By the firmware status that says that they have happened (L01.FR.03, .31).
EVENT_OF_FIRMWARE_STATUS = {"Installed": "FirmwareUpdated", "InvalidSignature": "InvalidFirmwareSignature"}


def boot_event(boot_reason: str) -> str:
    return "StartupOfTheDevice" if boot_reason == "PowerUp" else "ResetOrReboot"
