# Postroad for PowerShell (5.1 or later): the documented commands, run by `postroad shell` over the management API.
#
# Made from the catalogue by a test of crate cmdlets; POSTROAD_REWRITE=1 writes it anew. docs/powershell.md says how to use it.
#
#   Connect-Postroad -Api mail1.contoso.com -Identity ~/postroad-identity
#   Get-SendConnector | Where-Object Enabled | Set-SendConnector -MaxMessageSize 20MB
#
# It decides nothing: words and objects become a line of the shell, and what that prints as JSON becomes objects.

$script:Connection = $null

function Connect-Postroad {
    <# .SYNOPSIS Says which admin service is asked, as whom. #>
    [CmdletBinding()]
    param(
        # Name of a server in DNS (NAME:PORT=ADDRESS where needed), or the path of its Unix socket.
        [Parameter(Mandatory = $true, Position = 0)][string]$Api,
        # Folder with the certificate of an administrator.
        [string]$Identity,
        # The program postroad.
        [string]$Program = 'postroad'
    )
    $script:Connection = @{ Api = $Api; Identity = $Identity; Program = $Program }
    Invoke-PostroadLine 'Get-TransportConfig' | Out-Null
}

function Disconnect-Postroad {
    <# .SYNOPSIS Forgets which admin service was asked. #>
    $script:Connection = $null
}

# A value as the shell of postroad reads it.
function ConvertTo-PostroadLiteral($Value) {
    if ($null -eq $Value) { return '$null' }
    if ($Value -is [bool] -or $Value -is [switch]) { return '$' + ([bool]$Value).ToString().ToLowerInvariant() }
    if ($Value -is [int] -or $Value -is [long] -or $Value -is [double]) {
        return ([System.IFormattable]$Value).ToString($null, [cultureinfo]::InvariantCulture)
    }
    if ($Value -is [pscredential]) { return '(Get-Credential)' }
    if ($Value -is [datetime]) { return "'" + $Value.ToUniversalTime().ToString('MM/dd/yyyy HH:mm:ss', [cultureinfo]::InvariantCulture) + "'" }
    if ($Value -is [hashtable]) {
        $pairs = foreach ($key in $Value.Keys) { $key + '=' + (ConvertTo-PostroadLiteral $Value[$key]) }
        return '@{' + ($pairs -join '; ') + '}'
    }
    if ($Value -is [System.Collections.IEnumerable] -and $Value -isnot [string]) {
        return '@(' + (@($Value | ForEach-Object { ConvertTo-PostroadLiteral $_ }) -join ',') + ')'
    }
    return "'" + $Value.ToString().Replace("'", "''") + "'"
}

# The words of a call as a line: what was written as -Name is a parameter, everything else a value.
function ConvertTo-PostroadLine([string]$Name, [object[]]$Words) {
    $line = $Name
    foreach ($word in $Words) {
        if ($word -is [string] -and $word.PSObject.Properties['<CommandParameterName>']) { $line += ' ' + $word }
        else { $line += ' ' + (ConvertTo-PostroadLiteral $word) }
    }
    return $line
}

# Runs a line; gives its objects, and writes what it complained of.
function Invoke-PostroadLine([string]$Line, [object[]]$Words) {
    if ($null -eq $script:Connection) { throw 'Nobody is asked yet: Connect-Postroad -Api NAME says whom.' }
    $arguments = @('shell', '--json', '--api', $script:Connection.Api)
    if ($script:Connection.Identity) { $arguments += @('--identity', $script:Connection.Identity) }
    $credential = $Words | Where-Object { $_ -is [pscredential] } | Select-Object -First 1
    try {
        if ($credential) {
            $env:POSTROAD_CREDENTIAL_USER = $credential.UserName
            $env:POSTROAD_CREDENTIAL_PASSWORD = $credential.GetNetworkCredential().Password
        }
        # The line goes in by standard input: no quoting of the operating system touches it.
        $answer = $Line | & $script:Connection.Program @arguments 2>&1
    }
    finally { $env:POSTROAD_CREDENTIAL_USER = $null; $env:POSTROAD_CREDENTIAL_PASSWORD = $null }
    $complaints = @($answer | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] } | ForEach-Object { $_.ToString() })
    foreach ($text in @($answer | Where-Object { $_ -isnot [System.Management.Automation.ErrorRecord] })) {
        if ($text.StartsWith('{')) { $text | ConvertFrom-Json } else { $text }
    }
    if ($LASTEXITCODE -ne 0) { Write-Error ($complaints -join [Environment]::NewLine) }
    else { $complaints | ForEach-Object { Write-Warning $_ } }
}

# The commands of the catalogue.
$script:Commands = @(
    'Get-SendConnector'
    'New-SendConnector'
    'Set-SendConnector'
    'Remove-SendConnector'
    'Get-ReceiveConnector'
    'New-ReceiveConnector'
    'Set-ReceiveConnector'
    'Remove-ReceiveConnector'
    'Get-AcceptedDomain'
    'New-AcceptedDomain'
    'Set-AcceptedDomain'
    'Remove-AcceptedDomain'
    'Get-X400AuthoritativeDomain'
    'New-X400AuthoritativeDomain'
    'Set-X400AuthoritativeDomain'
    'Remove-X400AuthoritativeDomain'
    'Get-ADSite'
    'Set-ADSite'
    'Get-ADSiteLink'
    'Set-ADSiteLink'
    'Get-ExchangeServer'
    'Set-ExchangeServer'
    'Get-TransportService'
    'Set-TransportService'
    'Get-FrontendTransportService'
    'Set-FrontendTransportService'
    'Get-MailboxTransportService'
    'Set-MailboxTransportService'
    'Get-TransportConfig'
    'Set-TransportConfig'
    'Get-ForeignConnector'
    'New-ForeignConnector'
    'Set-ForeignConnector'
    'Remove-ForeignConnector'
    'Get-DeliveryAgentConnector'
    'New-DeliveryAgentConnector'
    'Set-DeliveryAgentConnector'
    'Remove-DeliveryAgentConnector'
    'Get-Mailbox'
    'New-Mailbox'
    'Set-Mailbox'
    'Remove-Mailbox'
    'Get-User'
    'Get-Recipient'
    'Get-MailContact'
    'New-MailContact'
    'Set-MailContact'
    'Remove-MailContact'
    'Get-DistributionGroup'
    'New-DistributionGroup'
    'Set-DistributionGroup'
    'Remove-DistributionGroup'
    'Get-DistributionGroupMember'
    'Add-DistributionGroupMember'
    'Remove-DistributionGroupMember'
    'Update-DistributionGroupMember'
    'Search-AdminAuditLog'
    'Get-AdminAuditLogConfig'
    'Get-ExchangeCertificate'
    'New-ExchangeCertificate'
    'Import-ExchangeCertificate'
    'Export-ExchangeCertificate'
    'Enable-ExchangeCertificate'
    'Remove-ExchangeCertificate'
    'Get-MessageTrackingLog'
    'Test-SmtpConnectivity'
    'Set-ADServerSettings'
    'Get-ADServerSettings'
    'Get-EdgeSyncServiceConfig'
    'Get-EdgeSubscription'
    'New-EdgeSubscription'
    'Remove-EdgeSubscription'
    'Start-EdgeSynchronization'
    'Test-EdgeSynchronization'
    'Get-ADPermission'
    'Add-ADPermission'
    'Remove-ADPermission'
    'Get-Queue'
    'Get-QueueDigest'
    'Get-Message'
    'Suspend-Queue'
    'Resume-Queue'
    'Retry-Queue'
    'Suspend-Message'
    'Resume-Message'
    'Remove-Message'
    'Export-Message'
    'Redirect-Message'
    'AssembleMessage'
)

foreach ($name in $script:Commands) {
    $body = {
        $name = $MyInvocation.MyCommand.Name
        $piped = @($input)
        $line = ConvertTo-PostroadLine $name $args
        if ($piped.Count -eq 0) { Invoke-PostroadLine $line $args; return }
        foreach ($object in $piped) {
            $identity = if ($null -ne $object.Identity) { $object.Identity } elseif ($null -ne $object.Name) { $object.Name } else { $object }
            Invoke-PostroadLine ($line + ' -Identity ' + (ConvertTo-PostroadLiteral ([string]$identity))) $args
        }
    }
    Set-Item -Path ('function:script:' + $name) -Value $body
}

Export-ModuleMember -Function (@('Connect-Postroad', 'Disconnect-Postroad') + $script:Commands)
